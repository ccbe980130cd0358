// SPDX-License-Identifier: GPL-3.0-only

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import javax.net.ssl.TrustManagerFactory;
import javax.net.ssl.X509TrustManager;
import sun.security.util.HostnameChecker;

/**
 * Answers one line on standard output for each line "usage host trust chain" on
 * standard input, with what the TLS stack of Java does to verify a peer: the
 * PKIX trust manager, and for a server the check of its name.
 */
class Verifier {
    public static void main(String[] args) throws Exception {
        BufferedReader questions = new BufferedReader(new InputStreamReader(System.in));
        for (String line = questions.readLine(); line != null; line = questions.readLine()) {
            String[] words = line.split(" ");
            String answer;
            try {
                verify(words[0], words[1], Path.of(words[2]), Path.of(words[3]));
                answer = "accepted";
            } catch (Exception refusal) {
                answer = "refused: " + String.valueOf(refusal.getMessage()).replace('\n', ' ');
            }
            System.out.println(answer);
        }
    }

    private static void verify(String usage, String host, Path trust, Path chain) throws Exception {
        KeyStore anchors = KeyStore.getInstance(KeyStore.getDefaultType());
        anchors.load(null, null);
        for (X509Certificate anchor : read(trust)) {
            anchors.setCertificateEntry(Integer.toString(anchors.size()), anchor);
        }
        TrustManagerFactory factory = TrustManagerFactory.getInstance("PKIX");
        factory.init(anchors);
        X509TrustManager manager = (X509TrustManager) factory.getTrustManagers()[0];
        X509Certificate[] presented = read(chain);
        String exchange = "ECDHE_" + (presented[0].getPublicKey().getAlgorithm().equals("RSA") ? "RSA" : "ECDSA");
        if (usage.equals("client")) {
            manager.checkClientTrusted(presented, exchange);
            return;
        }
        manager.checkServerTrusted(presented, exchange);
        HostnameChecker.getInstance(HostnameChecker.TYPE_TLS).match(host, presented[0]);
    }

    private static X509Certificate[] read(Path path) throws Exception {
        try (var in = Files.newInputStream(path)) {
            return CertificateFactory.getInstance("X.509").generateCertificates(in).toArray(X509Certificate[]::new);
        }
    }
}
