"""Compiles what an engine would compile at its first request, or while it starts, before it starts.

``kernels.py``, by the Python that has the engine. It is FlashInfer's sampling kernel: with SGLang the first
request waits for it, long enough to be taken for a worker that hangs, with vLLM the start does. It goes to
FlashInfer's cache in the home directory, where the engine finds it. Images that have it compiled load it.
An engine can still compile it, so nothing here is an error: code 0 always.
"""

import sys
import time


def main():
    began = time.monotonic()
    try:
        from flashinfer import sampling

        sampling.get_sampling_module()
    except Exception as error:  # whatever it raises: a missing compiler, a version without it
        first = (str(error).strip().splitlines() or [""])[0]
        print("FlashInfer's sampling kernel is left to the engine: %s: %s" % (type(error).__name__, first))
    else:
        print("FlashInfer's sampling kernel is there after %.0f s" % (time.monotonic() - began))
    sys.stdout.flush()


if __name__ == "__main__":
    main()
