"""Chat templates: messages to the text that a model was tuned on, by the Jinja template that its tokenizer brings.

A template comes with a model, so it is a stranger's program. It is run in Jinja's sandbox, sees nothing but plain
strings, and has a budget of steps and characters; whatever goes wrong in it is one line that names its file.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import TemplateError, TemplateSyntaxError, nodes
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

from draftwise.errors import DraftwiseError, one_line
from draftwise.models.files import optional_json
from draftwise.models.tokenizer import special_tokens

_STEPS = 200_000  # passes of loops and calls that a template may make
_CHARACTERS = 10_000_000  # of a rendered text, and of any string or list on the way
_BITS = 10_000  # of a whole number on the way


class ChatTemplate:
    """A compiled template and the special tokens that it may write."""

    def __init__(self, source: str, origin: str, special_tokens: Mapping[str, str]) -> None:
        """Compile it; ``origin`` names its file in messages.

        Raises:
            DraftwiseError: where it isn't Jinja.
        """
        self._origin = origin
        self._special_tokens = dict(special_tokens)
        self._environment = _Sandbox()
        try:
            self._template = self._environment.from_string(source)
        except TemplateSyntaxError as error:
            raise self._failure(TemplateError(f"line {error.lineno}: {error.message}")) from None
        except Exception as error:  # a template nested too deep, or one that Python's own compiler refuses
            raise self._failure(error) from None

    def render(self, messages: Sequence[Mapping[str, str]]) -> str:
        """The text of a conversation, up to where the assistant's next words begin.

        Args:
            messages: ``role`` (user, assistant or system) and ``content`` of each.

        Raises:
            DraftwiseError: where the template fails, or refuses the messages.
        """
        self._environment.steps = 0
        given = {
            **self._special_tokens,
            "messages": [{key: str(value) for key, value in message.items()} for message in messages],
            "tools": None,
            "documents": None,
            "add_generation_prompt": True,
        }
        try:
            return _joined(self._template.generate(given))
        except Exception as error:  # Python's operators inside a template raise whatever they like
            raise self._failure(error) from None

    def _failure(self, error: Exception) -> DraftwiseError:
        reason = one_line(error)
        return DraftwiseError(
            f"the chat template in {self._origin!r} failed ({reason}); give another file as the chat template, or none"
        )


def load_chat_template(choice: str, directory: Path) -> ChatTemplate | None:
    """The template of a choice.

    Args:
        choice: "auto" for the tokenizer's own where it has one, "none", or the path of a Jinja file.
        directory: where the tokenizer's files are.

    Raises:
        DraftwiseError: where the file can't be read or holds no template.
    """
    if choice == "none":
        return None
    found = _own_template(directory) if choice == "auto" else (_read_text(Path(choice)), choice)
    return ChatTemplate(*found, special_tokens(directory)) if found else None


def _own_template(directory: Path) -> tuple[str, str] | None:
    """A tokenizer's own template and the path of the file that holds it."""
    path = directory / "chat_template.jinja"
    if path.is_file():
        return _read_text(path), str(path)
    where = str(directory / "tokenizer_config.json")
    value = optional_json(Path(where)).get("chat_template")
    if isinstance(value, list) and all(isinstance(item, dict) for item in value):
        value = {item.get("name"): item.get("template") for item in value}
    if isinstance(value, dict):
        if value and "default" not in value:
            names = ", ".join(str(name) for name in value)
            raise DraftwiseError(f"{where!r} has no default chat template, only {names}; give a file or none instead")
        value = value.get("default")
    if value is None:
        return None
    if not isinstance(value, str):
        raise DraftwiseError(f"{where!r}: chat_template must be a text or a list of named ones, not {value!r:.80}")
    return value, where


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise DraftwiseError(f"no chat template {str(path)!r}; give auto, none, or the path of a Jinja file") from None
    except OSError as error:
        raise DraftwiseError(f"can't read the chat template {str(path)!r}: {error.strerror}; give a file") from None
    except ValueError:
        raise DraftwiseError(f"the chat template {str(path)!r} isn't text in UTF-8; save it as that") from None


class _Generation(Extension):
    """The tag that marks the assistant's words for training; its content is what counts here."""

    tags = {"generation"}

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        return nodes.Scope(parser.parse_statements(("name:endgeneration",), drop_needle=True)).set_lineno(line)


class _Sandbox(ImmutableSandboxedEnvironment):
    """The environment that transformers renders chat templates in, with a budget."""

    intercepted_binops = frozenset(("*", "**", "+"))

    def __init__(self) -> None:
        super().__init__(trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols", _Generation])
        self.steps = 0
        self.filters |= {"tojson": _to_json, "draftwise_counted": self._counted, "draftwise_joined": _joined}
        del self.globals["lipsum"]  # a single call of it may take minutes
        self.globals |= {
            "raise_exception": _raise_exception,
            "strftime_now": lambda form: datetime.now().strftime(form),
            "namespace": _Namespace,
        }

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805, as in Jinja
        """Call an object, at the price of a step."""
        __self._step()
        return super().call(__context, __obj, *args, **kwargs)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Work out ``left operator right``, unless the result would be huge."""
        if _grows(operator, left, right):
            raise SecurityError("a value in it grows too large")
        return super().call_binop(context, operator, left, right)

    def _generate(self, source: nodes.Template, *args: Any, **kwargs: Any) -> str:
        """Make every loop count its passes and every ``~`` its characters."""
        for loop in source.find_all(nodes.For):
            loop.iter = _filtered(loop.iter, "draftwise_counted")
        for join in source.find_all(nodes.Concat):
            join.nodes = [_filtered(nodes.Tuple(join.nodes, "load"), "draftwise_joined")]
        return super()._generate(source, *args, **kwargs)

    def _counted(self, items: Iterable[Any]) -> Iterator[Any]:
        for item in items:
            self._step()
            yield item

    def _step(self) -> None:
        self.steps += 1
        if self.steps > _STEPS:
            raise SecurityError(f"it takes more than {_STEPS:,} steps")


class _Namespace(Namespace):
    """Jinja's namespace, without the underscored attributes that lead to Python's own internals."""

    def __init__(*args: Any, **kwargs: Any) -> None:  # so that a template may name an attribute self
        attributes = dict(*args[1:], **kwargs)
        for name in attributes:
            _check_attribute(name)
        Namespace.__init__(args[0], attributes)

    def __setitem__(self, name: str, value: Any) -> None:
        _check_attribute(name)
        super().__setitem__(name, value)


def _check_attribute(name: str) -> None:
    if name.startswith("_"):
        raise SecurityError(f"a namespace may have no attribute {name!r}")


def _filtered(expression: Any, name: str) -> nodes.Filter:
    return nodes.Filter(expression, name, [], [], None, None, lineno=expression.lineno)


def _joined(parts: Iterable[Any]) -> str:
    texts: list[str] = []
    left = _CHARACTERS
    for part in parts:
        texts.append(str(part))
        left -= len(texts[-1])
        if left < 0:
            raise SecurityError(f"it writes more than {_CHARACTERS:,} characters")
    return "".join(texts)


def _grows(operator: str, left: Any, right: Any) -> bool:
    """Whether ``left operator right`` would be out of all proportion."""
    if isinstance(left, int) and isinstance(right, int):
        return left.bit_length() * (right if operator == "**" else 1) + right.bit_length() > _BITS
    sizes = [value if isinstance(value, int) else _size(value) for value in (left, right)]
    return (sum(sizes) if operator == "+" else sizes[0] * sizes[1]) > _CHARACTERS


def _size(value: Any) -> int:
    return len(value) if isinstance(value, str | list | tuple) else 0


def _raise_exception(message: str) -> None:
    raise TemplateError(message)


def _to_json(value: Any, ensure_ascii: bool = False, indent: Any = None, separators: Any = None, **more: Any) -> str:
    """JSON as transformers writes it: Jinja's own would escape what HTML does not allow."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, **more)
