"""Speed and memory of keraszoo beside code written by hand for the same backend.

    python -m benchmarks --backend torch --model lenet5 dcgan --rounds 15 --json torch.json

Both sides start from the same weights and must agree in the losses of three steps before anything
is timed; a step of a game (`dcgan`, `cyclegan`) is a turn of every player, on the same noise there.
They then take turns, one epoch each, in one process on one thread, and are compared round by round;
time is the processor's. See `python -m benchmarks --help`.
"""
