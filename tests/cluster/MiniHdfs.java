import java.io.File;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.hdfs.MiniDFSCluster;

/** A name node and a data node on the loopback; says the port of the first, and ends with its standard input. */
class MiniHdfs {
    public static void main(String[] arguments) throws Exception {
        MiniDFSCluster cluster =
                new MiniDFSCluster.Builder(new Configuration(), new File(arguments[0])).numDataNodes(1).build();
        cluster.waitActive();
        System.out.println(cluster.getNameNodePort());
        while (System.in.read() >= 0) {}
        cluster.shutdown();
        System.exit(0);
    }
}
