"""An engine of Beam's own whose job server and workers are processes, as those of Flink are, but start in seconds.

Its workers end with it. Like Flink's job server it says of a job that it was cancelled, and lets the workers go on.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import grpc
from apache_beam.portability.api import beam_job_api_pb2, beam_job_api_pb2_grpc


@dataclass(frozen=True)
class JobService:
    """An engine that runs.

    Attributes:
        process: the job server.
        address: `host:port`.
    """

    process: subprocess.Popen[bytes]
    address: str

    @property
    def flags(self) -> list[str]:
        """Of `hs-audit run`, so that a night runs there."""
        worker = f"{sys.executable} -m apache_beam.runners.worker.sdk_worker_main"
        return [
            "--runner=PortableRunner",
            f"--job_endpoint={self.address}",
            "--environment_type=beam:env:harness_subprocess_python:v1",
            f"--environment_config={worker}",
        ]

    def jobs(self) -> list[str]:
        """The ids of all jobs that it was given."""
        with grpc.insecure_channel(self.address) as channel:
            jobs = beam_job_api_pb2_grpc.JobServiceStub(channel)
            return [job.job_id for job in jobs.GetJobs(beam_job_api_pb2.GetJobsRequest()).job_info]

    def cancel_all(self) -> None:
        """Cancels every job, as an operator does."""
        with grpc.insecure_channel(self.address) as channel:
            jobs = beam_job_api_pb2_grpc.JobServiceStub(channel)
            for job in self.jobs():
                jobs.Cancel(beam_job_api_pb2.CancelJobRequest(job_id=job))

    def kill(self) -> None:
        """Kills it with its workers."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@contextmanager
def job_service(folder: Path, **environment: str) -> Iterator[JobService]:
    """An engine for as long as the context lasts.

    Args:
        folder: for its log.
        environment: of its processes, beside ours.
    """
    port, log = folder / "port", folder / "job-service.log"
    port.unlink(missing_ok=True)
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "apache_beam.runners.portability.local_job_service_main", f"--port_file={port}"],
            stdout=out,
            stderr=out,
            env={**os.environ, **environment},
            start_new_session=True,
        )
    service = JobService(process, "")
    try:
        while not (port.exists() and port.read_text()):
            assert process.poll() is None, log.read_text()
            time.sleep(0.05)
        yield JobService(process, f"localhost:{port.read_text().strip()}")
    finally:
        service.kill()
