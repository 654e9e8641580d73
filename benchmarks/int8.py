"""What int8 loses: without data, and by TensorFlow's converter with real inputs for its ranges.

Run ``python benchmarks/int8.py`` in a clone; it prints a table. Each zoo network and its half is
written to TFLite and ONNX, and the file is run on the held-back data. TensorFlow's ranges come
from real inputs of that very data, which favours it.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

REAL = 100  # inputs that TensorFlow's converter is given


def correct(scores: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return which answers are right."""
    answers = scores[:, 0] > 0.5 if scores.shape[1] == 1 else scores.argmax(axis=1)
    return np.asarray(answers == y)


def losses(model: Any, data: Any, seeds: int) -> dict[str, float]:
    """Return points of accuracy that each way of writing a file loses."""
    import paoding
    from paoding.deploy.to_tflite import to_tflite
    from paoding.evaluation.runtimes import open_file

    before = correct(np.asarray(model(data.x)), data.y).mean()
    found = {"float32": 100 * float(before)}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)

        def lost(path: Path) -> float:
            after = correct(open_file(path)([data.x])[0], data.y).mean()
            return float(100 * (before - after))

        for format in ("tflite", "onnx"):
            files = [
                paoding.export(
                    model, folder / f"{seed}.{format}", format=format, quantize="int8",
                    domain=data.domain, seed=seed,
                )
                for seed in range(seeds)
            ]  # fmt: skip
            found[f"{format}, no data"] = float(np.mean([lost(file) for file in files]))
        real = folder / "real.tflite"
        real.write_bytes(to_tflite(model, "int8", [data.x[:REAL]]))
        found["TensorFlow, real inputs"] = lost(real)
    return found


def main() -> None:
    import paoding

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--seeds", type=int, default=3, help="draws of inputs, averaged")
    asked = parser.parse_args()
    rows = []
    for name in paoding.zoo.names():
        model, data = paoding.zoo.load(name)
        half = paoding.prune(
            model, target=0.5, step=0.25, distil=0, effort="fast", domain=data.domain
        )
        for what, one in ((name, model), (f"{name}, half of it", half.model)):
            rows.append((what, losses(one, data, asked.seeds)))
            print(*rows[-1], flush=True)
    columns = list(rows[0][1])
    print(f"| network | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}")
    for what, found in rows:
        print(f"| {what} | {' | '.join(f'{found[c]:.2f}' for c in columns)} |")


if __name__ == "__main__":
    main()
