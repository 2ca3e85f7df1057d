"""Downloads from a real server on this computer: only the file that was meant is ever kept."""

import hashlib
import http.server
import tempfile
import threading
import unittest
from pathlib import Path
from unittest import mock

from medgan import download as module
from medgan.download import download
from medgan.errors import Cancelled, InputError

CONTENT = bytes(range(256)) * 12_000  # about 3 MB: several pieces
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/model.zip")
            self.end_headers()
        elif self.path == "/elsewhere":
            self.send_response(302)
            self.send_header("Location", "ftp://example.invalid/model.zip")
            self.end_headers()
        elif self.path in ("/around", "/nowhere"):
            self.send_response(302)
            self.send_header("Location", "/around" if self.path == "/around" else "http://[::1")
            self.end_headers()
        elif self.path in ("/superscript", "/endless"):
            self.send_response(200)
            self.send_header("Content-Length", "\u00b2" if self.path == "/superscript" else "9" * 5000)
            self.end_headers()
            self.wfile.write(CONTENT)
        elif self.path in ("/model.zip", "/cut", "/unsized"):
            self.send_response(200)
            if self.path != "/unsized":
                self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            self.wfile.write(CONTENT[: len(CONTENT) // 2] if self.path == "/cut" else CONTENT)
        else:
            self.send_error(403 if self.path == "/secret" else 404)

    def log_message(self, *arguments):
        pass


class DownloadTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
        cls.address = f"http://127.0.0.1:{cls.server.server_port}"
        threading.Thread(target=cls.server.serve_forever, daemon=True).start()

    @classmethod
    def tearDownClass(cls):
        cls.server.shutdown()
        cls.server.server_close()

    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.path = Path(temporary.name) / "model.zip"

    def fetch(self, name, sha256=SHA256, **options):
        return download(f"{self.address}/{name}", self.path, sha256, schemes=("http",), **options)

    def assertRefused(self, words, name, kind=InputError, **options):
        with self.assertRaisesRegex(kind, words) as caught:
            self.fetch(name, **options)
        self.assertNotIn("\n", str(caught.exception))
        self.assertEqual(list(self.path.parent.iterdir()), [])

    def test_whole_file_with_progress(self):
        told = []
        self.assertEqual(self.fetch("model.zip", SHA256.upper(), progress=lambda *step: told.append(step)), self.path)
        self.assertEqual(self.path.read_bytes(), CONTENT)
        fractions = [fraction for fraction, _ in told]
        self.assertEqual(fractions, sorted(fractions))
        self.assertEqual((fractions[0], fractions[-1]), (0.0, 1.0))
        self.assertGreater(len(told), 3)
        self.assertEqual(told[-1][1], "3 of 3 MB downloaded")

    def test_sent_on_and_of_unknown_size(self):
        for name in ("moved", "unsized"):
            self.fetch(name)
            self.assertEqual(self.path.read_bytes(), CONTENT)

    def test_sizes_that_are_none(self):
        for name in ("superscript", "endless"):
            self.fetch(name)
            self.assertEqual(self.path.read_bytes(), CONTENT)

    def test_refusals_leave_nothing(self):
        self.assertRefused("no file at .*404", "absent")
        self.assertRefused("refuses .*403", "secret")
        self.assertRefused("is not the one that was meant .*" + SHA256, "model.zip", sha256="0" * 64)
        self.assertRefused("broke off", "cut")
        self.assertRefused("sends on to ftp://", "elsewhere")
        self.assertRefused("infinite loop", "around")
        self.assertRefused("no address to download from", "nowhere")
        for name in ("mod\u00e8le.zip", "a model.zip", "model\n.zip"):
            self.assertRefused("no address to download from", name)
        self.assertRefused("64 hexadecimal digits", "model.zip", sha256="abc")
        with mock.patch.object(module, "MOST_BYTES", 10_000):
            self.assertRefused("larger than any model", "unsized")

    def test_stopped(self):
        asked = []

        def cancelled():
            asked.append(self.path.stat().st_size)
            return len(asked) == 3

        self.assertRefused("was stopped", "model.zip", kind=Cancelled, cancelled=cancelled)
        self.assertGreater(asked[-1], 0)

    def test_only_https_unless_told_otherwise(self):
        for url in (f"{self.address}/model.zip", "file:///etc/hostname", "model.zip", "https://", "https://[1"):
            with self.assertRaisesRegex(InputError, "begin with https://"):
                download(url, self.path, SHA256)

    def test_names_no_computer_can_have(self):
        for host in ("ex..ample", "a" * 70 + ".org", "127.0.0.1:port"):
            with self.assertRaisesRegex(InputError, "no address to download from"):
                download(f"http://{host}/model.zip", self.path, SHA256, schemes=("http",))

    def test_nobody_there(self):
        with http.server.HTTPServer(("127.0.0.1", 0), Server) as server:
            port = server.server_port
        with self.assertRaisesRegex(InputError, "cannot be reached .*network connection"):
            download(f"http://127.0.0.1:{port}/model.zip", self.path, SHA256, schemes=("http",))
        self.assertFalse(self.path.exists())

    def test_full_disk(self):
        usage = mock.Mock(free=1000)
        with mock.patch.object(module.shutil, "disk_usage", return_value=usage):
            self.assertRefused("disk has 0 MB left", "model.zip")


if __name__ == "__main__":
    unittest.main()
