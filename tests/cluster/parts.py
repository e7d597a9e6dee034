"""What the engines and HDFS of the cluster tests are made of, built once into `build/engines`, which no commit holds.

python -m tests.cluster.parts

Maven brings the jars of Flink, Spark and HDFS, and shades a Beam job server for either engine into one jar; Go builds
the program that starts a Python worker, and Prism. What is built stays until what it is made of changes.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO

FOLDER = Path(__file__).parents[2] / "build" / "engines"

_BEAM = "org.apache.beam"
# Beam publishes whole job servers under other names, which not every mirror has: they are put together here. The
# runners of 2.70.0 take the service of 2.65.0, the newest that Maven Central has, and both the Python SDK of 2.77.0.
_SERVICE = f"{_BEAM}:beam-runners-java-job-service:2.65.0"
_LOGGING = "org.slf4j:slf4j-simple:1.7.36"
_SPARK = ("org.apache.spark:spark-core_2.12:3.5.0", "org.apache.spark:spark-streaming_2.12:3.5.0")
_JACKSON = "com.fasterxml.jackson.core:jackson-core:2.15.2"  # Maven takes 2.14.2 for Spark, beside a databind of 2.15.2
_FLINK = (
    "org.apache.flink:flink-clients:1.19.3",
    "org.apache.flink:flink-runtime-web:1.19.3",  # without it nobody can submit a job
    "org.apache.logging.log4j:log4j-slf4j-impl:2.17.1",
    "org.apache.logging.log4j:log4j-core:2.17.1",
)
_HDFS = ("org.apache.hadoop:hadoop-client-minicluster:3.4.1", "org.mockito:mockito-core:4.11.0", _LOGGING)
_GO = "github.com/apache/beam/sdks/v2"
_VERSION = "2.77.0"

_POM = """<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>engines</groupId><artifactId>part</artifactId><version>1</version>
  <properties><project.build.sourceEncoding>UTF-8</project.build.sourceEncoding></properties>
  <dependencies>{dependencies}</dependencies>
  {build}
</project>
"""
_DEPENDENCY = "<dependency><groupId>{}</groupId><artifactId>{}</artifactId><version>{}</version></dependency>"
_COPY = """<build><plugins><plugin>
    <artifactId>maven-dependency-plugin</artifactId><version>3.6.1</version>
    <executions><execution><phase>package</phase><goals><goal>copy-dependencies</goal></goals><configuration>
      <includeScope>runtime</includeScope><outputDirectory>${project.basedir}/jars</outputDirectory>
    </configuration></execution></executions>
  </plugin></plugins></build>"""
_SHADE = """<build><finalName>job-server</finalName><plugins><plugin>
    <artifactId>maven-shade-plugin</artifactId><version>3.5.1</version>
    <executions><execution><phase>package</phase><goals><goal>shade</goal></goals><configuration>
      <createDependencyReducedPom>false</createDependencyReducedPom>
      <filters><filter><artifact>*:*</artifact><excludes>
        <exclude>META-INF/*.SF</exclude><exclude>META-INF/*.DSA</exclude><exclude>META-INF/*.RSA</exclude>
      </excludes></filter></filters>
      <transformers>
        <transformer implementation="org.apache.maven.plugins.shade.resource.ServicesResourceTransformer"/>
        <transformer implementation="org.apache.maven.plugins.shade.resource.ManifestResourceTransformer">
          <mainClass>{main_class}</mainClass>
          <manifestEntries><Add-Opens>{opened}</Add-Opens></manifestEntries>
        </transformer>
      </transformers>
    </configuration></execution></executions>
  </plugin></plugins></build>"""
# Packages of Java 17 that Flink's and Spark's serializers look into.
OPENED = (
    *(f"java.base/java.{name}" for name in ("io", "lang", "lang.invoke", "lang.reflect", "net", "nio", "util")),
    *(f"java.base/java.util.{name}" for name in ("concurrent", "concurrent.atomic")),
    *(f"java.base/sun.{name}" for name in ("nio.ch", "nio.cs", "security.action", "util.calendar")),
)
_held: list[IO[str]] = []  # for as long as this process runs what it locks


class CannotBeBuilt(Exception):
    """A program that builds the parts is missing, or it failed."""


@dataclass(frozen=True)
class Parts:
    """Where the parts are.

    Attributes:
        folder: all of them.
    """

    folder: Path = FOLDER

    @property
    def boot(self) -> Path:
        """Starts a Python worker; an engine runs it in the environment PROCESS."""
        return self.folder / "go" / "container"

    @property
    def prism(self) -> Path:
        """Prism, Beam's small engine."""
        return self.folder / "go" / "prism"

    def jars(self, engine: str) -> Path:
        """The folder of the own jars of an engine, or of HDFS."""
        return self.folder / engine / "jars"

    def job_server(self, engine: str) -> Path:
        """The jar that takes Beam's jobs to an engine."""
        return self.folder / f"{engine}-job-server" / "target" / "job-server.jar"


@cache  # a second lock of the same process would wait for the first one
def build(folder: Path = FOLDER) -> Parts:
    """Builds what is missing, and waits for other sessions of tests that run what is there.

    Raises:
        CannotBeBuilt: if a program for that is missing, or fails.
    """
    parts = Parts(folder)
    folder.mkdir(parents=True, exist_ok=True)
    lock = (folder / "lock").open("w")
    # Another session of tests may be building, or running what is here: Java opens a jar again for what lies in it, and
    # zstd-jni says 'no zstd-jni in java.library.path' where the jar was built anew beneath it.
    fcntl.flock(lock, fcntl.LOCK_EX)
    _build(parts)
    fcntl.flock(lock, fcntl.LOCK_SH)
    _held.append(lock)
    return parts


def _build(parts: Parts) -> None:
    folder = parts.folder
    _go(parts.boot.parent, "python/container", "go/cmd/prism")
    _maven(folder / "flink", _FLINK, _COPY)
    _maven(folder / "spark", (*_SPARK, _JACKSON), _COPY)
    _maven(folder / "hdfs", _HDFS, _COPY)
    for engine, runner, own in (("flink", "flink-1.19", ()), ("spark", "spark-3", _SPARK)):
        main_class = f"{_BEAM}.runners.{engine}.{engine.capitalize()}JobServerDriver"
        dependencies = (f"{_BEAM}:beam-runners-{runner}:2.70.0", _SERVICE, _LOGGING, *own)
        shade = _SHADE.format(main_class=main_class, opened=" ".join(OPENED))
        _maven(folder / f"{engine}-job-server", dependencies, shade)


def _maven(folder: Path, dependencies: tuple[str, ...], build: str) -> None:
    written = "".join(_DEPENDENCY.format(*dependency.split(":")) for dependency in dependencies)
    pom = _POM.format(dependencies=written, build=build)
    if _is_built(folder, pom):
        return
    (folder / "pom.xml").write_text(pom)
    _run("mvn", "-q", "-B", "-f", str(folder / "pom.xml"), "package")
    _note_built(folder, pom)


def _go(folder: Path, *programs: str) -> None:
    packages = [f"{_GO}/{program}@v{_VERSION}" for program in programs]
    if _is_built(folder, "".join(packages)):
        return
    for package in packages:
        _run("go", "install", package, GOBIN=str(folder))
    _note_built(folder, "".join(packages))


def _is_built(folder: Path, what: str) -> bool:
    note = folder / "built"
    if note.exists() and note.read_text() == hashlib.sha256(what.encode()).hexdigest():
        return True
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    print(f"building {folder}", file=sys.stderr, flush=True)
    return False


def _note_built(folder: Path, what: str) -> None:
    (folder / "built").write_text(hashlib.sha256(what.encode()).hexdigest())


def _run(program: str, *arguments: str, **environment: str) -> None:
    if not shutil.which(program) or not shutil.which("java"):
        raise CannotBeBuilt("the cluster tests need Java 17, Maven and Go: java, mvn and go on the PATH")
    try:
        subprocess.run([program, *arguments], check=True, env={**os.environ, **environment})
    except subprocess.CalledProcessError as error:
        raise CannotBeBuilt(f"{program} {' '.join(arguments)} failed with exit code {error.returncode}") from error


if __name__ == "__main__":
    build()
