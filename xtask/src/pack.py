"""Packs files so that the same content gives the same bytes, on any machine and day.

pack.py OUT.zip|OUT.tar.gz NAME=FILE...   programs may be run, everything else may be read; prints OUT's SHA-256
"""
import gzip
import hashlib
import os
import sys
import tarfile
import zipfile

out, *members = sys.argv[1:]
with open(out, "wb") as raw:
    if out.endswith(".zip"):
        with zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            for name, path in (member.split("=", 1) for member in members):
                about = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
                about.compress_type = zipfile.ZIP_DEFLATED
                about.create_system = 3  # Unix, so that Lambda sees who may run it
                about.external_attr = (0o100755 if os.access(path, os.X_OK) else 0o100644) << 16
                with open(path, "rb") as content:
                    archive.writestr(about, content.read())
    else:
        with gzip.GzipFile("", "wb", 9, raw, mtime=0) as packed, tarfile.open(fileobj=packed, mode="w") as archive:
            for name, path in (member.split("=", 1) for member in members):
                about = tarfile.TarInfo(name)
                about.size = os.path.getsize(path)
                about.mode = 0o755 if os.access(path, os.X_OK) else 0o644
                with open(path, "rb") as content:
                    archive.addfile(about, content)
with open(out, "rb") as packed:
    print(hashlib.sha256(packed.read()).hexdigest())
