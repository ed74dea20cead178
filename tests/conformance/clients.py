"""The official clients behind one set of calls, so that one test asks all of them.

Nothing of a client is changed or replaced: SDKs are called by a script in their own environment, the command
line by its program, tool servers over their protocol. Each is led to the simulator by the setting it has for
that, and a client that lacks a call does not offer it.
"""

import itertools
import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

from conformance.environments import CLIENTS, node_environment, python_environment

# What a client may offer, in the order in which documents name it.
CALLS = (
    "run",
    "run_in_one_request",
    "run_with_file",
    "upload",
    "look_up",
    "price",
    "history",
    "delete",
    "balance",
    "models",
    "parameters",
)
_CALL_SECONDS = 120


class ClientRefused(Exception):
    """The client ended with an error; the text is what it said."""


class OfficialClient:
    """One client, led to the service at ``url`` with ``key``; ``home`` is an empty folder for what it keeps."""

    folder: ClassVar[str]  # beside this module: what is installed, and the lock of it
    # Names of the inputs that a user of it can give at all; None means all.
    inputs: ClassVar[frozenset[str] | None] = None
    # The type that it gives a PNG on upload.
    picture_type: ClassVar[str] = "image/png"
    # Whether it sends a request a second time where the first one's answer was lost.
    sends_again: ClassVar[bool] = False

    def __init__(self, url: str, key: str, home: Path) -> None:
        self.url = url
        self.key = key
        self.home = home

    @classmethod
    def offers(cls, call: str) -> bool:
        return getattr(cls, call) is not getattr(OfficialClient, call)

    def takes(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Those of the inputs that a user of this client can give."""
        return {name: value for name, value in inputs.items() if self.inputs is None or name in self.inputs}

    # All raise ClientRefused with the client's own words.

    def run(self, model: str, inputs: dict[str, Any]) -> list[str]:
        """Waits for the prediction and returns the URLs of its outputs."""
        raise NotImplementedError

    def run_in_one_request(self, model: str, inputs: dict[str, Any]) -> list[str]:
        """The same in sync mode."""
        raise NotImplementedError

    def run_with_file(self, model: str, inputs: dict[str, Any], name: str, file: Path) -> list[str]:
        """The same with one input, or the only one of a list of inputs, that is a file on this machine."""
        raise NotImplementedError

    def upload(self, file: Path) -> str:
        """Returns the URL."""
        raise NotImplementedError

    def look_up(self, prediction_id: str) -> dict[str, Any]:
        """The prediction as the client shows it, with ``status`` and ``outputs`` at least."""
        raise NotImplementedError

    def price(self, model: str, inputs: dict[str, Any]) -> Decimal:
        """In dollars."""
        raise NotImplementedError

    def history(self, model: str) -> list[dict[str, Any]]:
        """Predictions of a model, newest first."""
        raise NotImplementedError

    def delete(self, prediction_id: str) -> None:
        raise NotImplementedError

    def balance(self) -> Decimal:
        """In dollars."""
        raise NotImplementedError

    def models(self) -> list[str]:
        """The catalogue's ids."""
        raise NotImplementedError

    def parameters(self, model: str) -> dict[str, Any]:
        """The properties of a model's input schema, by name."""
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        """All that a client's process finds in its environment: no setting of this machine reaches it."""
        return {"PATH": os.environ["PATH"], "HOME": str(self.home), "WAVESPEED_API_KEY": self.key}

    def _process(self, command: Sequence[str | Path], *, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self.home,
            env=self.environment(),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=_CALL_SECONDS,
            check=False,
        )

    def _script(self, command: Sequence[str | Path], asked: dict[str, Any]) -> Any:
        """What one of this folder's scripts answers to one question."""
        done = self._process(command, stdin=json.dumps(asked))
        assert done.returncode == 0, done.stderr
        said = json.loads(done.stdout.splitlines()[-1])
        if "refused" in said:
            raise ClientRefused(said["refused"])
        (answer,) = said.values()
        return answer


class _PythonSdk(OfficialClient):
    def run(self, model: str, inputs: dict[str, Any]) -> list[str]:
        return self._outputs("run", model, inputs, poll_interval=0.02)

    def run_in_one_request(self, model: str, inputs: dict[str, Any]) -> list[str]:
        return self._outputs("run", model, inputs, enable_sync_mode=True)

    def upload(self, file: Path) -> str:
        return str(self._call("upload", str(file)))

    def _outputs(self, *arguments: Any, **options: Any) -> list[str]:
        return list(self._call(*arguments, **options)["outputs"])

    def _call(self, call: str, *arguments: Any, **options: Any) -> Any:
        python = python_environment(self.folder) / "bin" / "python"
        asked = {"base_url": self.url, "call": call, "arguments": arguments, "options": options}
        return self._script([python, "-P", CLIENTS / "sdk_calls.py"], asked)


class PythonSdk1(_PythonSdk):
    folder = "python_wavespeed_1"


class PythonSdk2(_PythonSdk):
    folder = "python_wavespeed_2"

    def look_up(self, prediction_id: str) -> dict[str, Any]:
        return dict(self._call("get_result", prediction_id)["data"])


class JavaScriptSdk(OfficialClient):
    folder = "npm_wavespeed"

    def run(self, model: str, inputs: dict[str, Any]) -> list[str]:
        return list(self._call("run", model, inputs, pollInterval=0.02)["outputs"])

    def run_in_one_request(self, model: str, inputs: dict[str, Any]) -> list[str]:
        return list(self._call("run", model, inputs, enableSyncMode=True)["outputs"])

    def upload(self, file: Path) -> str:
        return str(self._call("upload", str(file)))

    def _call(self, call: str, *arguments: Any, **options: Any) -> Any:
        script = node_environment(self.folder) / "sdk_calls.mjs"
        asked = {"base_url": self.url, "call": call, "arguments": arguments, "options": options}
        return self._script(["node", script], asked)


class CommandLine(OfficialClient):
    """Stands on an older JavaScript SDK, which has another form of upload and believes in sending again."""

    folder = "npm_wavespeed_cli"
    picture_type = "application/octet-stream"
    sends_again = True

    def __init__(self, url: str, key: str, home: Path) -> None:
        super().__init__(url, key, home)
        self._configured = False

    def run(self, model: str, inputs: dict[str, Any]) -> list[str]:
        return self._run(model, inputs)

    def run_in_one_request(self, model: str, inputs: dict[str, Any]) -> list[str]:
        return self._run(model, inputs, "--sync")

    def upload(self, file: Path) -> str:
        return str(self._call("upload", str(file))["url"])

    def look_up(self, prediction_id: str) -> dict[str, Any]:
        return dict(self._call("show", prediction_id))

    def price(self, model: str, inputs: dict[str, Any]) -> Decimal:
        given = [f"{name}={_as_cell(value)}" for name, value in inputs.items()]
        return Decimal(str(self._call("price", model, "--input", *given)["unit_price"]))

    def history(self, model: str) -> list[dict[str, Any]]:
        return list(self._call("history", "--model", model)["items"])

    def delete(self, prediction_id: str) -> None:
        self._call("delete", prediction_id)

    def balance(self) -> Decimal:
        return Decimal(str(self._call("balance")["balance"]))

    def models(self) -> list[str]:
        return [model["model_id"] for model in self._call("models")]

    def parameters(self, model: str) -> dict[str, Any]:
        return dict(self._call("schema", model)["properties"])

    def _run(self, model: str, inputs: dict[str, Any], *options: str) -> list[str]:
        file = self.home / "inputs.json"
        file.write_text(json.dumps(inputs))
        return list(self._call("run", model, "--input-file", str(file), *options)["outputs"])

    def _call(self, *arguments: str) -> Any:
        program = node_environment(self.folder) / "node_modules" / ".bin" / "wavespeed"
        if not self._configured:
            # The one way to lead it elsewhere: it reads no address from the environment.
            done = self._process([program, "config", "--base-url", self.url])
            assert done.returncode == 0, done.stderr
            self._configured = True
        done = self._process([program, *arguments, "--json"])
        # The SDK below it may have said something first.
        lines = iter(done.stdout.splitlines())
        document = itertools.dropwhile(lambda line: not line.startswith(("{", "[")), lines)
        text = "\n".join(document)
        assert text, done.stderr
        said = json.loads(text)
        if done.returncode:
            raise ClientRefused(str(said["error"] if "error" in said else said["errors"]))
        return said


class _ToolServer(OfficialClient):
    def command(self) -> list[str]:
        raise NotImplementedError

    def _tool(self, tool: str, **arguments: Any) -> Any:
        python = python_environment("python_wavespeed_mcp") / "bin" / "python"
        asked = {
            "command": self.command(),
            "environment": self.environment(),
            "tool": tool,
            "arguments": arguments,
        }
        answer = self._script([python, "-P", CLIENTS / "tool_calls.py"], asked)
        return json.loads(answer)


class NodeToolServer(_ToolServer):
    folder = "npm_wavespeed_mcp"

    def command(self) -> list[str]:
        return [str(node_environment(self.folder) / "node_modules" / ".bin" / "wavespeed-mcp")]

    def environment(self) -> dict[str, str]:
        return {**super().environment(), "WAVESPEED_BASE_URL": self.url}

    def run(self, model: str, inputs: dict[str, Any]) -> list[str]:
        return list(self._tool("run_model", model=model, input=inputs)["outputs"])

    def run_with_file(self, model: str, inputs: dict[str, Any], name: str, file: Path) -> list[str]:
        given = [f"@{file}"] if name == "images" else f"@{file}"
        return self.run(model, {**inputs, name: given})

    def upload(self, file: Path) -> str:
        return str(self._tool("upload_file", path=str(file))["url"])

    def look_up(self, prediction_id: str) -> dict[str, Any]:
        return dict(self._tool("get_prediction", id=prediction_id))

    def price(self, model: str, inputs: dict[str, Any]) -> Decimal:
        return Decimal(str(self.quote(model, inputs)["discounted_price"]))

    def quote(self, model: str, inputs: dict[str, Any]) -> dict[str, Any]:
        """The price with all that this client says about it."""
        return dict(self._tool("get_price", model=model, input=inputs))

    def balance(self) -> Decimal:
        return Decimal(str(self._tool("get_balance")["balance"]))

    def models(self) -> list[str]:
        return [model["model_id"] for model in self._tool("list_models")["models"]]

    def parameters(self, model: str) -> dict[str, Any]:
        return dict(self._tool("get_model_schema", model=model)["properties"])


class PythonToolServer(_ToolServer):
    """Two of its tools make pictures and one clips; none of them takes a clip or a model's own parameters."""

    folder = "python_wavespeed_mcp"
    inputs = frozenset({"prompt", "image", "images"})

    def command(self) -> list[str]:
        return [str(python_environment(self.folder) / "bin" / "wavespeed-mcp")]

    def environment(self) -> dict[str, str]:
        return {**super().environment(), "WAVESPEED_API_HOST": self.url}

    def run(self, model: str, inputs: dict[str, Any]) -> list[str]:
        image = inputs.get("image", "")
        if "video" in model:
            made = self._tool("generate_video", model=model, prompt=inputs["prompt"], image=image)
        else:
            pictures = {"image": image, "images": inputs.get("images", [])}
            made = self._tool("image_to_image", model=model, prompt=inputs["prompt"], **pictures)
        if made["status"] != "success":
            raise ClientRefused(made["error"])
        return list(made["urls"])

    def run_with_file(self, model: str, inputs: dict[str, Any], name: str, file: Path) -> list[str]:
        return self.run(model, {**inputs, name: [str(file)] if name == "images" else str(file)})


ALL: tuple[type[OfficialClient], ...] = (
    PythonSdk2,
    PythonSdk1,
    JavaScriptSdk,
    CommandLine,
    NodeToolServer,
    PythonToolServer,
)


def _as_cell(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
