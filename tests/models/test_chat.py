"""Chat templates: the text that transformers renders, and one line for each template that fails."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from tiny_opt import save_tokenizer
from transformers import AutoTokenizer

from draftwise.errors import DraftwiseError
from draftwise.models.chat import ChatTemplate, load_chat_template

CHATML = """{% for message in messages %}
{{ '<|im_start|>' + message['role'] + '\n' + message.content | trim + '<|im_end|>' + '\n' }}
{% endfor %}
{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"""
LLAMA_2 = """{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}\
{% set system_message = messages[0]['content'] %}{% else %}{% set loop_messages = messages %}\
{% set system_message = false %}{% endif %}{% for message in loop_messages %}\
{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}\
{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}\
{% if loop.index0 == 0 and system_message != false %}\
{% set content = '<<SYS>>\\n' + system_message + '\\n<</SYS>>\\n\\n' + message['content'] %}\
{% else %}{% set content = message['content'] %}{% endif %}{% if message['role'] == 'user' %}\
{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}{% elif message['role'] == 'assistant' %}\
{{ ' '  + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}"""
LLAMA_3 = """{{- bos_token }}
{%- if not date_string is defined %}
    {%- if strftime_now is defined %}
        {%- set date_string = strftime_now("%d %b %Y") %}
    {%- endif %}
{%- endif %}
{%- if tools is not none %}{{- tools | tojson(indent=4) }}{%- endif %}
{%- for message in messages %}
    {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'+ message['content'] | trim + '<|eot_id|>' }}
{%- endfor %}
{{- 'Today is ' + date_string }}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}
{%- endif %}"""
GEMMA = """{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}\
{% endif %}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}\
{{ raise_exception('Conversation roles must alternate') }}{% endif %}{% if (message['role'] == 'assistant') %}\
{% set role = 'model' %}{% else %}{% set role = message['role'] %}{% endif %}\
{{ '<start_of_turn>' + role + '\n' + message['content'] | trim + '<end_of_turn>\n' }}{% endfor %}\
{% if add_generation_prompt %}{{'<start_of_turn>model\n'}}{% endif %}"""
MISTRAL = """{%- set ns = namespace(index=0, last=-1) %}
{%- for message in messages %}
    {%- if message["role"] not in ["user", "assistant"] %}{%- continue %}{%- endif %}
    {%- if (message["role"] == "user") != (ns.index % 2 == 0) %}
        {{- raise_exception("After the optional system message, roles must alternate user/assistant") }}
    {%- endif %}
    {%- set ns.index = ns.index + 1 %}
{%- endfor %}
{{- bos_token }}
{%- for message in messages %}
    {%- if message["role"] == "user" %}{{- "[INST] " ~ message["content"] ~ "[/INST]" }}
    {%- elif loop.last and not add_generation_prompt %}{%- break %}
    {%- else %}{{- " " ~ message.content ~ eos_token ~ loop.length ~ message | tojson }}{%- endif %}
{%- endfor %}"""
TRAINING = """{% macro turn(m) %}<{{ m.role }}>{% generation %}{{ m.content }}{% endgeneration %}{% endmacro %}\
{% for m in messages recursive %}{{ turn(m) }}{{ loop.cycle('a', 'b') }}{% endfor %}{{ missing }}{{ unk_token }}"""
TEMPLATES = {
    "chatml": CHATML, "llama-2": LLAMA_2, "llama-3": LLAMA_3, "gemma": GEMMA, "mistral": MISTRAL, "training": TRAINING
}  # fmt: skip

USER = {"role": "user", "content": ' What\'s <b>"up"</b> in the café?\n'}
ASSISTANT = {"role": "assistant", "content": "Not & much."}
CHATS = {
    "one": [USER],
    "two": [USER, ASSISTANT, {"role": "user", "content": "Ünd?"}],
    "system": [{"role": "system", "content": "Be brief."}, USER, ASSISTANT, USER],
}


def save_config(directory: Path, **config: Any) -> Path:
    save_tokenizer(directory, 16)
    tokens = {"bos_token": "<s>", "eos_token": {"content": "</s>", "lstrip": False, "__type": "AddedToken"}}
    (directory / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", **tokens, **config})
    )
    return directory


def loaded(directory: Path, choice: str = "auto") -> ChatTemplate:
    template = load_chat_template(choice, directory)
    assert template is not None
    return template


@pytest.mark.parametrize("chat", CHATS.values(), ids=CHATS)
@pytest.mark.parametrize("source", TEMPLATES.values(), ids=TEMPLATES)
def test_the_text_is_that_of_transformers(tmp_path: Path, source: str, chat: list[dict[str, str]]) -> None:
    save_config(tmp_path, chat_template=source)
    template = loaded(tmp_path)
    try:
        tokenizer = AutoTokenizer.from_pretrained(tmp_path)
        expected = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    except Exception as error:
        reason = str(error).split(",")[0]
        assert "role" in reason.lower()
        with pytest.raises(DraftwiseError, match=f"tokenizer_config.json.*failed .*{reason}"):
            template.render(chat)
    else:
        assert template.render(chat) == expected


def test_a_refused_role_is_among_the_cases(tmp_path: Path) -> None:
    save_config(tmp_path, chat_template=GEMMA)
    with pytest.raises(DraftwiseError, match="System role not supported"):
        loaded(tmp_path).render(CHATS["system"])
    with pytest.raises(DraftwiseError, match="roles must alternate"):
        loaded(tmp_path).render([USER, USER])


def test_a_file_of_its_own_comes_before_the_config(tmp_path: Path) -> None:
    save_config(tmp_path, chat_template="config")
    assert loaded(tmp_path).render([USER]) == "config"
    (tmp_path / "chat_template.jinja").write_text("file")
    assert loaded(tmp_path).render([USER]) == "file"


def test_the_default_of_several_is_taken(tmp_path: Path) -> None:
    named = [{"name": "rag", "template": "rag"}, {"name": "default", "template": "plain"}]
    assert loaded(save_config(tmp_path, chat_template=named)).render([USER]) == "plain"


def test_a_given_file_comes_before_the_tokenizers_own(tmp_path: Path) -> None:
    save_config(tmp_path, chat_template="own")
    (tmp_path / "mine.jinja").write_text("{{ bos_token }}{{ messages[0].content }}", encoding="utf-8")
    assert loaded(tmp_path, str(tmp_path / "mine.jinja")).render([{"role": "user", "content": "hé"}]) == "<s>hé"


def test_none_and_a_tokenizer_without_one_have_none(tmp_path: Path) -> None:
    assert load_chat_template("auto", save_config(tmp_path)) is None
    assert load_chat_template("none", save_config(tmp_path, chat_template="x")) is None
    (tmp_path / "tokenizer_config.json").unlink()
    assert load_chat_template("auto", tmp_path) is None


def test_special_tokens_come_from_their_map_where_the_config_lacks_them(tmp_path: Path) -> None:
    save_config(tmp_path, chat_template="{{ bos_token }}|{{ eos_token }}|{{ pad_token }}", bos_token=None)
    tokens = {"bos_token": {"content": "<b>"}, "eos_token": "<other>"}
    (tmp_path / "special_tokens_map.json").write_text(json.dumps(tokens))
    assert loaded(tmp_path).render([USER]) == "<b>|</s>|"


FAILING = {
    "syntax": ("{% for x %}", "line 1"),
    "unknown tag": ("{% include 'x' %}{% frobnicate %}", "frobnicate"),
    "raised": ("{{ raise_exception('only\nusers') }}", "only users"),
    "undefined attribute": ("{{ nothing.here }}", "'nothing' is undefined"),
    "wrong type": ("{{ messages + 1 }}", "concatenate"),
    "unsafe attribute": ("{{ messages.__class__.__mro__ }}", "unsafe"),
    "unsafe namespace": ("{% set n = namespace(_x=1) %}", "_x"),
    "changed input": ("{{ messages.append(1) }}", "unsafe"),
    "another file": ("{% include 'x' %}", "no loader"),
    "endless recursion": ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "recursion"),
    "endless calls": (
        "{% macro f(n) %}{% if n %}{{ f(n-1) }}{{ f(n-1) }}{% endif %}{% endmacro %}{{ f(90) }}",
        "steps",
    ),
    "endless loop": ("{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}", "steps"),
    "huge range": ("{% for i in range(10**9) %}{% endfor %}", "range"),
    "huge output": ("{% for i in range(99999) %}{{ messages[0].content * 99 }}{% endfor %}", "characters"),
    "huge product": ("{{ 'x' * 10 ** 12 }}", "too large"),
    "huge number": ("{{ 9 ** 99999999 }}", "too large"),
    "doubled text": (
        "{% set n = namespace(s='x') %}{% for i in range(60) %}{% set n.s = n.s + n.s %}{% endfor %}",
        "too large",
    ),
    "doubled with a tilde": (
        "{% set n = namespace(s='x') %}{% for i in range(60) %}{% set n.s = n.s ~ n.s %}{% endfor %}",
        "characters",
    ),
}


@pytest.mark.parametrize(("source", "reason"), FAILING.values(), ids=FAILING)
def test_a_failing_template_is_one_line_that_names_its_file(tmp_path: Path, source: str, reason: str) -> None:
    path = tmp_path / "mine.jinja"
    path.write_text(source)
    started = time.monotonic()
    with pytest.raises(DraftwiseError, match=r"chat template in .*mine\.jinja. failed .*; give another") as caught:
        loaded(save_config(tmp_path), str(path)).render([USER])
    assert reason in str(caught.value) and "\n" not in str(caught.value)
    assert time.monotonic() - started < 10


def test_a_long_conversation_stays_within_the_budget(tmp_path: Path) -> None:
    save_config(tmp_path, chat_template=CHATML)
    chat = [{"role": "user", "content": "word " * 2000}] * 500
    assert len(loaded(tmp_path).render(chat)) > 4_000_000


@pytest.mark.parametrize("value", [3, ["x"], {"default": 4}, [{"name": "default", "template": 1}]])
def test_a_template_of_another_type_is_refused(tmp_path: Path, value: object) -> None:
    with pytest.raises(DraftwiseError, match=r"tokenizer_config\.json.*chat_template must be a text"):
        load_chat_template("auto", save_config(tmp_path, chat_template=value))


def test_several_without_a_default_are_listed(tmp_path: Path) -> None:
    named = [{"name": "rag", "template": ""}, {"name": "tool_use", "template": ""}]
    with pytest.raises(DraftwiseError, match="no default chat template, only rag, tool_use"):
        load_chat_template("auto", save_config(tmp_path, chat_template=named))


def test_a_broken_config_is_named(tmp_path: Path) -> None:
    (tmp_path / "tokenizer_config.json").write_text("{")
    with pytest.raises(DraftwiseError, match=r"tokenizer_config\.json.*isn't valid JSON"):
        load_chat_template("auto", tmp_path)


def test_a_missing_file_a_directory_and_bytes_are_one_line_each(tmp_path: Path) -> None:
    save_config(tmp_path)
    (tmp_path / "latin.jinja").write_bytes(b"\xe9{{ messages }}")
    for choice, words in {
        str(tmp_path / "nowhere.jinja"): "no chat template .*nowhere.* give auto, none, or the path of a Jinja file",
        "Auto": "no chat template 'Auto'; give auto",
        str(tmp_path): "can't read the chat template .*directory",
        str(tmp_path / "latin.jinja"): r"latin\.jinja.*UTF-8",
    }.items():
        with pytest.raises(DraftwiseError, match=words) as caught:
            load_chat_template(choice, tmp_path)
        assert "\n" not in str(caught.value)
