"""`hs-audit train`: cases → a calibrated classifier, exported as a new version."""

import argparse
import os
import time
from dataclasses import asdict, replace
from pathlib import Path

from rich.console import Console

from model.quiet import quiet_import
from pipeline.rules.card import Card
from pipeline.rules.nomenclature import HS_EDITION


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags."""
    parser.add_argument("--cases", type=Path, required=True, help="Parquet file of cases: case_id, hs_code, images")
    parser.add_argument("--backbone", default="compact", help="compact, or a .keras file (default: %(default)s)")
    parser.add_argument("--output", type=Path, required=True, metavar="MODEL", help="folder of the numbered versions")
    parser.add_argument("--epochs", type=int, help="passes over the pictures (default: 15; compact: 10)")
    parser.add_argument("--variants", type=int, help="random variants added to each picture (default: 4; compact: 2)")
    parser.add_argument("--seed", type=int, default=0, help="of everything random (default: %(default)s)")


def run(args: argparse.Namespace) -> int:
    """Trains and exports."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with quiet_import():
        from model.backbones import load_backbone
        from model.cases import CaseFile
        from model.export import export, weights_digest
        from model.training import HEAD, WHOLE, train
        from pipeline.pictures import PictureSize

    console = Console(stderr=True)
    started = time.monotonic()
    cases = CaseFile.open(args.cases)
    backbone = load_backbone(args.backbone)
    size = PictureSize(*backbone.height_width)
    recipe = HEAD if backbone.pretrained else WHOLE
    given = {"epochs": args.epochs, "variants": args.variants, "seed": args.seed}
    recipe = replace(recipe, **{name: value for name, value in given.items() if value is not None})
    trained = train(cases, backbone, size, recipe, lambda sentence: console.print(sentence, style="dim"))
    card = Card(
        size.height,
        size.width,
        size.resize_filter,
        size.draft_multiple,
        HS_EDITION,
        trained.temperature,
        trained.thresholds,
        weights_digest(trained.network),
    )
    about = {
        "backbone": backbone.name,
        "cases_digest": cases.digest,
        "metrics": trained.metrics,
        "recipe": asdict(recipe),
        "unreadable": dict(trained.unreadable),
    }
    version, path = export(trained.network, trained.classes, card, about, args.output)
    console.print(
        f"version {version} with {len(trained.classes)} codes in {path}: held-out top-1 "
        f"{trained.metrics['held_out_top_1']:.3f}, calibration error "
        f"{trained.metrics['held_out_calibration_error']:.3f}, {time.monotonic() - started:.0f} s"
    )
    return 0
