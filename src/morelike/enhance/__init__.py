"""Pictures made from pictures by a trained network: enlarged, coloured, filled in, translated.

from morelike.enhance.apply import apply
from morelike.enhance.model import of_run
done = apply(of_run("runs/00008-bikes-enlarger"), ["pictures/"], "big/")
done.written, done.rejected
"""
