"""`hs-audit serve`: the bundled model server, with the flags of `tensorflow_model_server`."""

from serving.server.main import add_arguments, run

__all__ = ["add_arguments", "run"]
