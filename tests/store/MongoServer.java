// SPDX-License-Identifier: BSD-3-Clause
// A MongoDB server in a file: java -cp 'classes:lib/*' Main FILE PORT. Ends with its standard input. FILE "-": in
// memory (in a file, documents that are changed while it is written can't be read back when there are very many).
import de.bwaldvogel.mongo.backend.h2.H2Backend;

class Main {
    public static void main(String[] args) throws Exception {
        var server = new de.bwaldvogel.mongo.MongoServer(args[0].equals("-") ? H2Backend.inMemory() : new H2Backend(args[0]));
        server.bind("127.0.0.1", Integer.parseInt(args[1]));
        System.out.println("ready");
        while (System.in.read() >= 0) {
        }
        server.shutdownNow();
    }
}
