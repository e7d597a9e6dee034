"""The audit every night by Airflow 3: copy this file to the DAGs; hs-audit has an environment of its own.

A day of the archive is a data interval, from 01:30 to 01:30 of the zone below; its logical date, read in that zone, is
the night. `airflow backfill` and a run that is cleared audit the night that they name.
"""

import subprocess
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from airflow.sdk import dag, task
from airflow.sdk.exceptions import AirflowException, AirflowFailException
from airflow.timetables.interval import CronDataIntervalTimetable

ZONE = "Asia/Seoul"  # time_zone of the configuration
PROGRAM = "/opt/hs-audit/bin/hs-audit"
CONFIG = "/etc/hs-audit/nightly.yaml"

PUBLISHED = {0: "published", 3: "published with a warning: look at dead_letters/ and manifest.json"}
TRY_AGAIN = {5: "the model server is away", 8: "the engine or the storage is away"}


def night_of(logical_date: datetime) -> str:
    """The night to audit; Airflow's own `ds` is of UTC, where it is still the day before."""
    return logical_date.astimezone(ZoneInfo(ZONE)).date().isoformat()


def judge(exit_code: int) -> str:
    """What became of the night.

    Raises:
        AirflowException: if it is worth another try.
        AirflowFailException: if another try would end in the same way.
    """
    if exit_code in PUBLISHED:
        return PUBLISHED[exit_code]
    if exit_code in TRY_AGAIN:
        raise AirflowException(TRY_AGAIN[exit_code])
    raise AirflowFailException(f"hs-audit run ended with {exit_code}: its last line says why")


@dag(
    dag_id="hs_audit",
    # Not a plain cron expression: since Airflow 3 that makes the moment of the start the logical date, a day later.
    schedule=CronDataIntervalTimetable("30 1 * * *", timezone=ZONE),
    start_date=datetime(2026, 1, 1, tzinfo=ZoneInfo(ZONE)),
    catchup=False,
    max_active_runs=1,  # nights share the model server
    tags=["customs"],
)
def nights() -> None:
    """One task: the night of the logical date."""

    @task(retries=4, retry_delay=timedelta(minutes=10), execution_timeout=timedelta(hours=6))
    def audit(logical_date: datetime | None = None) -> str:
        if logical_date is None:
            raise AirflowFailException("a run without a logical date has no night: trigger it with one")
        command = [PROGRAM, "run", f"--config={CONFIG}", f"--run-date={night_of(logical_date)}"]
        return judge(subprocess.run(command, check=False).returncode)

    audit()


nights()
