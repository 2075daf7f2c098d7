"""The wheel: built without a network, and used from fresh environments."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
import venv
import zipfile
from pathlib import Path
from typing import Any

from support import CLIENT, REPOSITORY

HERE = Path(__file__).resolve().parent
TOOLS = REPOSITORY / "target" / "clients-python"
WHEELS = TOOLS / "wheels"
TYPED = """\
from user_service import Client, messages

async def f(client: Client) -> str:
    reply = await client.login(login="ada", password="p")
    reveal_type(reply)
    return (await client.ping()).max_in_flight
"""


def builds_wheels() -> bool:
    """Returns `True` if setuptools can build wheels, by itself or with `wheel`."""
    try:
        version = importlib.metadata.version("setuptools").split(".")
    except importlib.metadata.PackageNotFoundError:
        return False
    return (int(version[0]), int(version[1])) >= (70, 1) or has("wheel")


def has(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


class Package(unittest.TestCase):
    def run_command(self, *command: str, expect: int = 0, **environment: str) -> str:
        env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            cwd=self.folder,
            env={**env, "PIP_DISABLE_PIP_VERSION_CHECK": "1", **environment},
        )
        self.assertEqual(done.returncode, expect, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def test_the_wheel_works_in_a_fresh_environment(self) -> None:
        if not builds_wheels():
            raise unittest.SkipTest("setuptools 70.1, or setuptools and wheel, is missing")
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        source = self.folder / "source"
        ignored = shutil.ignore_patterns("__pycache__", "*.egg-info", "build", ".*cache")
        shutil.copytree(CLIENT, source, ignore=ignored)
        build = ("pip", "wheel", "--quiet", "--no-build-isolation", "--no-deps", "--no-index")
        self.run_command(sys.executable, "-m", *build, "--wheel-dir", ".", str(source))
        (wheel,) = self.folder.glob("user_service_client-*-py3-none-any.whl")
        names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info" not in name}
        modules = (CLIENT / "src").rglob("*.py")
        expected = {str(path.relative_to(CLIENT / "src")) for path in modules}
        self.assertEqual(names, expected | {"user_service/py.typed"})

        # The pip that runs the test installs: one more would take long to create.
        venv.create(self.folder / "fresh", with_pip=False)
        python = str(self.folder / "fresh" / "bin" / "python")
        pip = (sys.executable, "-m", "pip", "--python", python)
        install = (*pip, "install", "--quiet", "--no-index", "--no-compile")
        self.run_command(*install, str(wheel))
        self.run_command(python, "-c", "import user_service, user_service.asgi")
        output = self.run_command(python, "-c", "import user_service.verifier", expect=1)
        self.assertIn("install user-service-client[verify]", output)
        installed: dict[str, Any] = {"USER_SERVICE_INSTALLED": "1"}
        test = str(HERE / "run.py")
        live = "test_live.Live.test_every_request_of_an_account"
        self.run_command(python, test, live, **installed)
        # Another Python may need other wheels.
        if Path(sys.prefix) != TOOLS:
            raise unittest.SkipTest("the wheel of cryptography is missing: run tools.sh")
        self.run_command(*install, "--find-links", str(WHEELS), f"{wheel}[verify]")
        live = "test_verifier_live.VerifierLive.test_all_nodes_down"
        self.run_command(python, test, live, "test_tokens", **installed)
        if not has("mypy"):
            raise unittest.SkipTest("mypy is missing")
        (self.folder / "typed.py").write_text(TYPED)
        mypy = (sys.executable, "-m", "mypy", "--strict", "--python-executable", python)
        output = self.run_command(*mypy, "typed.py", expect=1)
        self.assertIn('Revealed type is "user_service._messages.LoggedIn"', output)
        self.assertIn("Incompatible return value type", output)


if __name__ == "__main__":
    unittest.main()
