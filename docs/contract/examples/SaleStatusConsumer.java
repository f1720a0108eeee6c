// Follows `sale-status` and keeps in memory how each sale, receipt and issue stands; at each start it reads the topic
// from its beginning. The third argument says which of them, with commas.
//
//     java -cp 'lib/*' SaleStatusConsumer.java kafka01:9092 reporting sale
//
// Java 17. In lib: org.apache.kafka:kafka-clients:4.3.1 and com.fasterxml.jackson.core:jackson-databind:2.21.2, with
// what they need. Prints a line for each decision that is news.

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

public final class SaleStatusConsumer {
    private static final int SCHEMA_VERSION = 1;

    /** What one decision is about. */
    record Document(String type, String sourceDatabase, long id) {}

    record Decision(Document document, int attempt, String invoice, String status, String nationalId, String reason) {}

    private final ObjectMapper json = new ObjectMapper();
    private final Map<Document, Decision> standing = new HashMap<>();

    /** Fields that are not known here are passed over: the contract grows by adding. */
    Decision read(byte[] value) throws IOException {
        JsonNode fields = json.readTree(value);
        int version = fields.get("schema_version").intValue();
        if (version != SCHEMA_VERSION) {
            throw new IOException("schema_version " + version + ": this program reads " + SCHEMA_VERSION + "; renew it");
        }
        Document document =
                new Document(
                        fields.get("document").textValue(),
                        fields.get("source_database").textValue(),
                        fields.get("id").longValue());
        return new Decision(
                document,
                fields.get("attempt").intValue(),
                fields.get("local_invoice_id").textValue(),
                fields.get("status").textValue(),
                fields.get("national_invoice_id").textValue(), // null where there is none
                fields.get("reason").path("code").textValue());
    }

    /** Whether it is news: a repeat has the attempt that stands there already, one that comes late has a lower one. */
    boolean keep(Decision decision) {
        Decision known = standing.get(decision.document());
        if (known != null && decision.attempt() <= known.attempt()) {
            return false;
        }
        standing.put(decision.document(), decision);
        return true;
    }

    void follow(String servers, String group, Set<String> types) throws IOException {
        Map<String, Object> settings =
                Map.of(
                        "bootstrap.servers", servers,
                        "group.id", group,
                        "auto.offset.reset", "earliest",
                        // Nothing outlives this process. With a table of your own: commit after it is written.
                        "enable.auto.commit", false);
        var bytes = new ByteArrayDeserializer();
        try (var consumer = new KafkaConsumer<byte[], byte[]>(settings, bytes, bytes)) {
            consumer.subscribe(List.of("sale-status"));
            while (true) {
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofSeconds(1))) {
                    Decision decision = read(record.value());
                    if (types.contains(decision.document().type()) && keep(decision)) {
                        String what = decision.nationalId() != null ? decision.nationalId() : decision.reason();
                        System.out.println(
                                decision.invoice() + " " + decision.attempt() + " " + decision.status() + " " + what);
                    }
                }
            }
        }
    }

    public static void main(String[] arguments) throws IOException {
        if (arguments.length < 2 || arguments.length > 3) {
            System.err.println("SaleStatusConsumer SERVERS GROUP [TYPES]");
            System.exit(2);
        }
        String types = arguments.length == 3 ? arguments[2] : "sale,purchase_receipt,goods_issue";
        new SaleStatusConsumer().follow(arguments[0], arguments[1], Set.of(types.split(",")));
    }
}
