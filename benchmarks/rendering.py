"""What it takes to render an image from a radiance field, in a process of its own (Linux).

    python -m benchmarks.rendering torch nerf_tiny 400

Prints JSON: megabytes of resident memory above the built model at the highest, compiling included, and the rays that
a second of processor time shows once that is done, also with empty space skipped in a scene of which one cell in 64 is full. How much
memory is needed hardly depends on the side of the image, since its rays go through the model in batches.
"""

import json
import sys
import time
from pathlib import Path

from benchmarks.memory import status


def main(model, side):
    import numpy as np

    from benchmarks.cases import CASES
    from keraszoo.layers import Camera
    from keraszoo.models.nerf import Occupancy

    model = CASES[model].build()
    camera = Camera.looking_at((0, 0, 0), (0, -4, 1), focal=1.1 * side, height=side, width=side)
    cells = np.zeros((4, 4, 4), bool)
    cells[1, 1, 1] = True
    found = {}
    for name, occupancy in (("whole", None), ("skipping", Occupancy(cells, model.box))):
        built = status("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
        model.render(camera, occupancy=occupancy)  # compiles
        start = time.process_time()
        model.render(camera, occupancy=occupancy)
        taken = time.process_time() - start
        found[name] = {"memory, MB": status("VmHWM") - built, "rays/s": side * side / taken}
    print(json.dumps(found))


if __name__ == "__main__":
    from benchmarks.__main__ import alone

    alone(sys.argv[1])
    main(sys.argv[2], int(sys.argv[3]))
