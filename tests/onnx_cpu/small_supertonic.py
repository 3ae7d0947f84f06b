# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Writes a folder from which supertonic speaks: four graphs of half a kilobyte with the inputs of the published ones.

Rates and shapes are the published model's (44100 Hz, latent 24 × 6, chunk 512 × 6); what comes out is a tone of
`SECONDS_PER_CHARACTER` for each character that the model is given.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper

RATE, CHUNK, COMPRESS, LATENT = 44100, 512, 6, 24
HOP = CHUNK * COMPRESS
SECONDS_PER_CHARACTER = 0.06
STYLE_TTL, STYLE_DP, EMBED = (1, 50, 256), (1, 8, 16), 16
FLOAT, INT = TensorProto.FLOAT, TensorProto.INT64


def _graph(path: Path, inputs: Any, outputs: Any, nodes: Any, constants: dict[str, Any]) -> None:
    values = [helper.make_tensor_value_info(name, kind, shape) for name, kind, shape in inputs]
    results = [helper.make_tensor_value_info(name, FLOAT, shape) for name, shape in outputs]
    fixed = [numpy_helper.from_array(numpy.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, path.stem, values, results, fixed)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def _node(kind: str, inputs: list[str], output: str, **attributes: Any) -> Any:
    return helper.make_node(kind, inputs, [output], **attributes)


TEXT = [("text_ids", INT, ["batch", "text"]), ("text_mask", FLOAT, ["batch", 1, "text"])]


def duration_predictor(path: Path) -> None:
    """Seconds: the number of characters times a constant; the style only scales by 1."""
    nodes = [
        _node("ReduceSum", ["text_mask", "inner"], "characters", keepdims=0),
        _node("Mul", ["characters", "seconds"], "plain"),
        _node("ReduceMean", ["style_dp"], "mean", axes=[1, 2], keepdims=0),
        _node("Mul", ["mean", "zero"], "nothing"),
        _node("Add", ["plain", "nothing"], "duration"),
    ]
    constants = {
        "inner": numpy.array([1, 2]),
        "seconds": numpy.float32(SECONDS_PER_CHARACTER),
        "zero": numpy.float32(0),
    }
    style = ("style_dp", FLOAT, ["batch", *STYLE_DP[1:]])
    _graph(path, [*TEXT, style], [("duration", ["batch"])], nodes, constants)


def text_encoder(path: Path) -> None:
    """(batch, EMBED, text): each character's number, scaled, in every channel."""
    nodes = [
        _node("Cast", ["text_ids"], "numbers", to=FLOAT),
        _node("Unsqueeze", ["numbers", "one"], "rows"),
        _node("Mul", ["rows", "text_mask"], "masked"),
        _node("Mul", ["masked", "channels"], "text_emb"),
    ]
    constants = {"one": numpy.array([1]), "channels": numpy.full((1, EMBED, 1), 1e-3, numpy.float32)}
    style = ("style_ttl", FLOAT, ["batch", *STYLE_TTL[1:]])
    _graph(path, [*TEXT, style], [("text_emb", ["batch", EMBED, "text"])], nodes, constants)


def vector_estimator(path: Path) -> None:
    """One step: the latent moves half way to the mean of the text's embedding."""
    nodes = [
        _node("ReduceMean", ["text_emb"], "mean", axes=[1, 2], keepdims=1),
        _node("Add", ["noisy_latent", "mean"], "sum"),
        _node("Mul", ["sum", "half"], "moved"),
        _node("Mul", ["moved", "latent_mask"], "denoised_latent"),
    ]
    latent = ["batch", LATENT * COMPRESS, "latent"]
    inputs = [
        ("noisy_latent", FLOAT, latent),
        ("text_emb", FLOAT, ["batch", EMBED, "text"]),
        ("style_ttl", FLOAT, ["batch", *STYLE_TTL[1:]]),
        ("latent_mask", FLOAT, ["batch", 1, "latent"]),
        TEXT[1],
        ("current_step", FLOAT, ["batch"]),
        ("total_step", FLOAT, ["batch"]),
    ]
    _graph(path, inputs, [("denoised_latent", latent)], nodes, {"half": numpy.float32(0.5)})


def vocoder(path: Path) -> None:
    """HOP samples of a tone for each latent frame, its level within 0.2 … 0.5 from the latent."""
    nodes = [
        _node("ReduceMean", ["latent"], "level", axes=[1], keepdims=0),
        _node("Sigmoid", ["level"], "bounded"),
        _node("Mul", ["bounded", "most"], "scaled"),
        _node("Unsqueeze", ["scaled", "two"], "frames"),
        _node("Range", ["start", "hop", "step"], "time"),
        _node("Mul", ["time", "pitch"], "phase"),
        _node("Sin", ["phase"], "tone"),
        _node("Mul", ["frames", "tone"], "waves"),
        _node("Reshape", ["waves", "flat"], "wav_tts"),
    ]
    constants = {
        "most": numpy.float32(0.5),
        "two": numpy.array([2]),
        "start": numpy.float32(0),
        "hop": numpy.float32(HOP),
        "step": numpy.float32(1),
        "pitch": numpy.float32(2 * numpy.pi * 20 / HOP),  # whole periods in a frame: no clicks
        "flat": numpy.array([0, -1]),
    }
    latent = ("latent", FLOAT, ["batch", LATENT * COMPRESS, "latent"])
    _graph(path, [latent], [("wav_tts", ["batch", "samples"])], nodes, constants)


def make(directory: Path, voices: tuple[str, ...], characters: int = 0x10000) -> Path:
    graphs, styles = directory / "onnx", directory / "voice_styles"
    graphs.mkdir(parents=True, exist_ok=True)
    styles.mkdir(exist_ok=True)
    for maker in (duration_predictor, text_encoder, vector_estimator, vocoder):
        maker(graphs / f"{maker.__name__}.onnx")
    settings = {
        "ae": {"sample_rate": RATE, "base_chunk_size": CHUNK},
        "ttl": {"chunk_compress_factor": COMPRESS, "latent_dim": LATENT},
    }
    (graphs / "tts.json").write_text(json.dumps(settings))
    known = [-1 if number < 32 else number % 100 for number in range(characters)]
    (graphs / "unicode_indexer.json").write_text(json.dumps(known))
    for number, voice in enumerate(voices):
        random = numpy.random.default_rng(number)
        style = {}
        for key, shape in (("style_ttl", STYLE_TTL), ("style_dp", STYLE_DP)):
            data = random.normal(size=shape).round(3).tolist()
            style[key] = {"dims": list(shape), "data": data, "type": "float32"}
        (styles / f"{voice}.json").write_text(json.dumps(style))
    return directory
