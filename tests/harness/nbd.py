# SPDX-License-Identifier: GPL-2.0-or-later
"""Images on servers: nbdkit with its filters."""
import contextlib
import os
import shutil
import subprocess
import tempfile

from .check import skip, wait_until

NBD_SIZE = 8 << 20


@contextlib.contextmanager
def nbd_image(size=NBD_SIZE, contents=None):
    """A folder with an image: of these contents, or random bytes."""
    if not shutil.which("nbdkit"):
        skip("nbdkit is not installed; Debian's package nbdkit, which make check installs, runs this")
    with tempfile.TemporaryDirectory(prefix="uffdctl-nbd.") as d:
        with open(f"{d}/image", "wb") as f:
            f.write(contents or os.urandom(size))
        yield d


@contextlib.contextmanager
def nbd_server(d, *args, filters=(), plugin="file"):
    """The URI of a server of that image, and its process."""
    socket = f"{d}/socket"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(socket)
    p = subprocess.Popen(["nbdkit", "-f", "-U", socket, *(f"--filter={f}" for f in filters), plugin, f"{d}/image", *args],
                         stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: os.path.exists(socket), "it listens")
        yield f"nbd+unix:///?socket={socket}", p
    finally:
        p.kill()
        p.wait()
