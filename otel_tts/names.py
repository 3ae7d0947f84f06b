# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Every span, attribute, event, metric and log name that otel-tts emits, with type, unit and meaning.

The reference in docs/names.md is generated from the tables here, and the privacy gate lets pass what they list.

``gen_ai.*`` names are the GenAI conventions' own; the Python package deprecates its copies since the conventions
moved to a repository of their own, so they stand here as plain strings. ``tts.*`` and ``gpu.*`` are this project's
names: they may still change in a minor release until 1.0, with a line in the changelog.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

SCOPE: Final = "otel_tts"
"""Instrumentation scope of every span, point and log line made here."""

DOCTOR: Final = "otel-tts-doctor"
"""Name of the service whose requests are canaries of `otel-tts doctor`: nobody asked for them."""

# --- spans -----------------------------------------------------------------------------------------------------------

OPERATION: Final = "text_to_speech"
SPAN_QUEUE: Final = "tts.queue"
SPAN_MODEL_LOAD: Final = "tts.model.load"
SPAN_JOB: Final = "tts.job"
SPAN_WAIT: Final = "tts.wait"
SPAN_LOOP_LATE: Final = "tts.event_loop.late"
SPAN_ABANDONED: Final = "tts.abandoned"
SPAN_TASK: Final = "process"
SPAN_WYOMING: Final = "wyoming synthesize"
STAGE_PREFIX: Final = "tts."


class Stage:
    """The stages of a speech pipeline: values of ``tts.stage``; the span's name is ``tts.`` and the value."""

    QUEUE: Final = "queue"
    TEXT_FRONTEND: Final = "text_frontend"
    REFERENCE_ENCODE: Final = "reference_encode"
    ACOUSTIC_MODEL: Final = "acoustic_model"
    VOCODER: Final = "vocoder"
    MODEL: Final = "model"
    POSTPROCESS: Final = "postprocess"
    REMOTE: Final = "remote"


STAGES: Final[dict[str, str]] = {
    Stage.QUEUE: "waiting in a job queue before the synthesis, or for an engine's lock inside it",
    Stage.TEXT_FRONTEND: "normalisation, grapheme to phoneme, tokenising",
    Stage.REFERENCE_ENCODE: "speaker or emotion reference to an embedding; absent on a cache hit",
    Stage.ACOUSTIC_MODEL: "text to codes or mel spectrogram",
    Stage.VOCODER: "mel spectrogram or codes to waveform",
    Stage.MODEL: "acoustic model and vocoder where one graph does both",
    Stage.POSTPROCESS: "trimming, resampling, encoding, writing",
    Stage.REMOTE: "asking an engine in another process or machine, from the connection to its last word: a client span",
}


class Outcome:
    """How a synthesis ended: values of ``tts.outcome``."""

    OK: Final = "ok"
    ANOMALOUS: Final = "anomalous"
    ERROR: Final = "error"
    CANCELLED: Final = "cancelled"
    REJECTED: Final = "rejected"


OUTCOMES: Final[dict[str, str]] = {
    Outcome.OK: "audio was made and nothing in it looks wrong",
    Outcome.ANOMALOUS: "the call succeeded but the audio is empty, silent, truncated or not a number",
    Outcome.ERROR: "an exception left the engine",
    Outcome.CANCELLED: "the caller went away or closed the stream before the end, or before the answer was sent",
    Outcome.REJECTED: "refused: by reject(), a 4xx exception or an engine with stages before any of them, a full queue",
}


class LoopCause:
    """Why an event loop did nothing that was due: values of ``tts.event_loop.cause``."""

    CODE: Final = "code"
    GC: Final = "gc"
    INTERPRETER: Final = "interpreter"
    NOT_SCHEDULED: Final = "not_scheduled"


LOOP_CAUSES: Final[dict[str, str]] = {
    LoopCause.CODE: "the loop's thread was in code that does not come back to the loop: a synthesis, a blocking call",
    LoopCause.GC: "Python's garbage collector ran most of that time",
    LoopCause.INTERPRETER: "another thread's native code held the interpreter, so that no thread of Python ran",
    LoopCause.NOT_SCHEDULED: "the process was given no CPU: stopped, throttled, or the machine was busy",
}


class WaitSource:
    """Who says since when a request was there: values of ``tts.wait.source``."""

    KERNEL: Final = "kernel"
    PROXY: Final = "proxy"
    LOOP: Final = "loop"


WAIT_SOURCES: Final[dict[str, str]] = {
    WaitSource.KERNEL: "the kernel, by when its last bytes came on the connection (Linux, to 8 ms)",
    WaitSource.PROXY: "the proxy's X-Request-Start, where OTEL_TTS_TRUST_PROXY believes it",
    WaitSource.LOOP: "nobody: the request begins in the event loop's hands; tts.wait.upper_bound says how late that is",
}


class FinishReason:
    """Why a generation ended: values of ``tts.finish_reason``."""

    STOP: Final = "stop"
    LENGTH: Final = "length"
    ABORTED: Final = "aborted"


FINISH_REASONS: Final[dict[str, str]] = {
    FinishReason.STOP: "the model ended it by itself",
    FinishReason.LENGTH: "it was cut at its limit of steps: the end of the text is missing, or it went on without one",
    FinishReason.ABORTED: "it was broken off: the caller left, an exception ended it, or whoever made it was gone",
}

# --- attributes ------------------------------------------------------------------------------------------------------

REQUEST_ID: Final = "request_id"
REQUEST_OFFERED: Final = "request_id.offered"
OPERATION_NAME: Final = "gen_ai.operation.name"
OUTPUT_TYPE: Final = "gen_ai.output.type"
MODEL: Final = "gen_ai.request.model"
PROVIDER: Final = "gen_ai.provider.name"
ENGINE: Final = "tts.engine.name"
ENGINE_VERSION: Final = "tts.engine.version"
TEXT_LENGTH: Final = "tts.text.length"
TEXT_LANGUAGE: Final = "tts.text.language"
SEGMENT_COUNT: Final = "tts.segment.count"
SEGMENTS_ASKED: Final = "tts.segment.asked"
SEGMENTS_SPOKEN: Final = "tts.segment.spoken"
SEGMENTS_EMPTY: Final = "tts.segment.empty"
SEGMENT_STATE: Final = "tts.segment.state"
SEGMENT_LOUDNESS: Final = "tts.segment.loudness"
SEGMENT_PACE: Final = "tts.segment.pace"
LOUDNESS_DEVIATION: Final = "tts.segment.loudness.deviation"
PACE_DEVIATION: Final = "tts.segment.pace.deviation"
VOICE: Final = "tts.voice"
VOICE_SOURCE: Final = "tts.voice.source"
EMOTION_MODE: Final = "tts.emotion.mode"
REFERENCE_DURATION: Final = "tts.reference.duration"
REFERENCE_SAMPLE_RATE: Final = "tts.reference.sample_rate"
REFERENCE_SIZE: Final = "tts.reference.size"
REFERENCE_CACHE_HIT: Final = "tts.reference.cache_hit"
RETRIES: Final = "tts.retries"
FINISH_REASON: Final = "tts.finish_reason"
GENERATION_STEPS: Final = "tts.generation.steps"
GENERATION_LIMIT: Final = "tts.generation.limit"
STREAM: Final = "tts.stream"
COLD_START: Final = "tts.cold_start"
COLD_START_KIND: Final = "tts.cold_start.kind"
OUTCOME: Final = "tts.outcome"
ERROR_TYPE: Final = "error.type"
HTTP_METHOD: Final = "http.request.method"
HTTP_ROUTE: Final = "http.route"
HTTP_STATUS: Final = "http.response.status_code"
HTTP_VERSION: Final = "network.protocol.version"
URL_SCHEME: Final = "url.scheme"
RPC_SYSTEM: Final = "rpc.system"
RPC_SERVICE: Final = "rpc.service"
RPC_METHOD: Final = "rpc.method"
RPC_STATUS: Final = "rpc.grpc.status_code"
MESSAGING_SYSTEM: Final = "messaging.system"
MESSAGING_DESTINATION: Final = "messaging.destination.name"
TASK: Final = "tts.task.name"
TASK_RETRIES: Final = "tts.task.retries"
PROTOCOL: Final = "network.protocol.name"
DEVICE: Final = "tts.device"
DEVICE_FALLBACK: Final = "tts.device.fallback"
COST: Final = "tts.cost"
CANARY: Final = "tts.canary"
COST_CURRENCY: Final = "tts.cost.currency"
OTHERS: Final = "tts.requests.others"
WAIT: Final = "tts.wait.duration"
WAIT_SOURCE: Final = "tts.wait.source"
WAIT_UPPER_BOUND: Final = "tts.wait.upper_bound"
LOOP_BLOCKED: Final = "tts.event_loop.blocked"
LOOP_CAUSE: Final = "tts.event_loop.cause"
LOOP_CPU: Final = "tts.event_loop.cpu"
LOOP_CODE: Final = "tts.event_loop.code"
LOOP_COROUTINE: Final = "tts.event_loop.coroutine"
ABANDONED: Final = "tts.abandoned.duration"
ABANDONED_GPU_TIME: Final = "tts.abandoned.gpu_time"
ABANDONED_COST: Final = "tts.abandoned.cost"

AUDIO_DURATION: Final = "tts.audio.duration"
AUDIO_SAMPLE_RATE: Final = "tts.audio.sample_rate"
AUDIO_CHANNELS: Final = "tts.audio.channels"
AUDIO_SIZE: Final = "tts.audio.size"
AUDIO_FORMAT: Final = "tts.audio.format"
AUDIO_PEAK: Final = "tts.audio.peak"
AUDIO_RMS: Final = "tts.audio.rms"
AUDIO_SILENCE_RATIO: Final = "tts.audio.silence_ratio"
AUDIO_LEADING_SILENCE: Final = "tts.audio.leading_silence"
AUDIO_TRAILING_SILENCE: Final = "tts.audio.trailing_silence"
AUDIO_CLIPPING_RATIO: Final = "tts.audio.clipping_ratio"
AUDIO_CLICKS: Final = "tts.audio.clicks"
AUDIO_DC_OFFSET: Final = "tts.audio.dc_offset"
AUDIO_ANOMALY: Final = "tts.audio.anomaly"
FILE_EVENT: Final = "tts.audio.file"
FILE_ERRORS: Final = "tts.audio.file.errors"
FILE_LINKS: Final = "tts.audio.file.links"
REAL_TIME_FACTOR: Final = "tts.real_time_factor"
TIME_TO_FIRST_BYTE: Final = "tts.time_to_first_byte"
TIME_TO_FIRST_AUDIO: Final = "tts.time_to_first_audio"
STREAM_CHUNKS: Final = "tts.stream.chunks"
STREAM_GAP: Final = "tts.stream.gap"
STREAM_UNDERRUN: Final = "tts.stream.underrun"
STREAM_CONTINUOUS: Final = "tts.stream.continuous"
STREAM_LAST_QUARTER: Final = "tts.stream.last_quarter"

STAGE: Final = "tts.stage"
STAGE_SEGMENTS: Final = "tts.stage.segments"
REMOTE_ID: Final = "tts.remote.request_id"
STAGE_HOST_DURATION: Final = "tts.stage.host_duration"
BATCH_SIZE: Final = "tts.batch.size"
BATCH_SHARE: Final = "tts.batch.share"
TIMING_MODE: Final = "gpu.timing.mode"
TIMING_STATUS: Final = "gpu.timing.status"
GPU_ELAPSED: Final = "gpu.elapsed"
GPU_QUEUE_DELAY: Final = "gpu.queue_delay"
GPU_CLOCK_UNCERTAINTY: Final = "gpu.clock.uncertainty"
GPU_SYNC_WAIT: Final = "gpu.sync.wait"
HW_ID: Final = "hw.id"

MEMORY_EVENT: Final = "gpu.memory"
MEMORY_ALLOCATED: Final = "gpu.memory.allocated"
MEMORY_RESERVED: Final = "gpu.memory.reserved"
MEMORY_PEAK: Final = "gpu.memory.peak"
MEMORY_ALLOCATED_DELTA: Final = "gpu.memory.allocated.delta"
MEMORY_RESERVED_DELTA: Final = "gpu.memory.reserved.delta"
MEMORY_SLACK_RATIO: Final = "gpu.memory.slack_ratio"
MEMORY_ATTRIBUTION: Final = "gpu.memory.attribution"
MEMORY_DEVICE_ALLOCS: Final = "gpu.memory.num_device_alloc"
MEMORY_DEVICE_FREES: Final = "gpu.memory.num_device_free"
MEMORY_RETRIES: Final = "gpu.memory.num_alloc_retries"
MEMORY_SYNCS: Final = "gpu.memory.num_sync_all_streams"
MEMORY_OOMS: Final = "gpu.memory.num_ooms"
MEMORY_OOM: Final = "gpu.memory.oom"
MEMORY_REQUESTED: Final = "gpu.memory.requested"
MEMORY_DEVICE_FREE: Final = "gpu.memory.device.free"
MEMORY_DEVICE_TOTAL: Final = "gpu.memory.device.total"

ESTIMATE: Final = "tts.estimate"
HW_TYPE: Final = "hw.type"
HW_PARENT: Final = "hw.parent"
HW_STATE: Final = "hw.state"
GPU_TASK: Final = "hw.gpu.task"

REASON: Final = "reason"
RELAY_TO: Final = "tts.relay.to"

Type = Literal["string", "int", "double", "boolean", "string[]", "double[]"]


@dataclass(frozen=True)
class Attribute:
    """One attribute: its key, type, unit (UCUM, empty for none) and meaning."""

    key: str
    type: Type
    unit: str
    meaning: str


REQUEST_ATTRIBUTES: Final = (
    Attribute(
        REQUEST_ID,
        "string",
        "",
        "the x-request-id that the client holds: its own, that of the application's answer, the queue's event id, or "
        "one made here; numbered below it (ID.1, ID.2) in a WebSocket and after the answer is complete",
    ),
    Attribute(
        REQUEST_OFFERED,
        "string",
        "",
        "the id that earlier lines of the request have, where the application answered with another one",
    ),
    Attribute(OPERATION_NAME, "string", "", "always text_to_speech"),
    Attribute(OUTPUT_TYPE, "string", "", "always speech"),
    Attribute(MODEL, "string", "", "the model's name"),
    Attribute(PROVIDER, "string", "", "who runs the model; the engine's name where it runs in this process"),
    Attribute(ENGINE, "string", "", "the engine's name, as in its table; unknown where an answer with audio has none"),
    Attribute(ENGINE_VERSION, "string", "", "the installed version of the engine's distribution"),
    Attribute(TEXT_LENGTH, "int", "{character}", "characters of the text to be spoken"),
    Attribute(TEXT_LANGUAGE, "string", "", "BCP 47 tag, when the engine knows it"),
    Attribute(SEGMENT_COUNT, "int", "{segment}", "sentences or segments that were synthesised one after the other"),
    Attribute(SEGMENTS_ASKED, "int", "{segment}", "segments that the engine has cut the text into"),
    Attribute(SEGMENTS_SPOKEN, "int", "{segment}", "segments that sound came of; where that is unseen, that were made"),
    Attribute(SEGMENTS_EMPTY, "int", "{segment}", "segments that nothing or only silence came of"),
    Attribute(VOICE, "string", "", "a preset's name; of a reference its file's hash, or the name chosen for that"),
    Attribute(VOICE_SOURCE, "string", "", "default, preset, reference or description"),
    Attribute(EMOTION_MODE, "string", "", "how an emotion was asked for: speaker, reference, vector or text"),
    Attribute(REFERENCE_DURATION, "double", "s", "length of the reference audio"),
    Attribute(REFERENCE_SAMPLE_RATE, "int", "Hz", "samples a second of the reference audio"),
    Attribute(REFERENCE_SIZE, "int", "By", "bytes of the reference file"),
    Attribute(REFERENCE_CACHE_HIT, "boolean", "", "the reference's encoding was reused"),
    Attribute(RETRIES, "int", "{retry}", "attempts that the engine threw away and made again; absent for 0"),
    Attribute(
        FINISH_REASON,
        "string",
        "",
        "why the generation ended, of several the worst: stop, aborted or length; also on its stage",
    ),
    Attribute(
        GENERATION_STEPS,
        "int",
        "{step}",
        "tokens, frames or patches that were made; of several generations those of the one nearest to its limit",
    ),
    Attribute(GENERATION_LIMIT, "int", "{step}", "steps at which that generation is cut"),
    Attribute(STREAM, "boolean", "", "the audio was delivered in chunks"),
    Attribute(COLD_START, "boolean", "", "something was done here that the next request will find done; see the kind"),
    Attribute(COLD_START_KIND, "string[]", "", "what was done for the first time; see the list of cold starts"),
    Attribute(OUTCOME, "string", "", "ok, anomalous, error, cancelled or rejected"),
    Attribute(ERROR_TYPE, "string", "", "the exception's class"),
    Attribute(DEVICE, "string", "", "what the engine says it runs on: cpu, cuda, …"),
    Attribute(DEVICE_FALLBACK, "boolean", "", "ran on the CPU after having run on a device"),
    Attribute(COST, "double", "{currency}", "estimate: share of device time times the price of a GPU hour"),
    Attribute(COST_CURRENCY, "string", "", "the currency of tts.cost"),
    Attribute(CANARY, "boolean", "", "a probe of `otel-tts watch`, in no metric of requests; absent for others"),
    Attribute(OTHERS, "int", "{request}", "syntheses that were open when this one began; absent for none"),
    Attribute(WAIT, "double", "s", "from when the connection had the request to when the application got it"),
    Attribute(WAIT_SOURCE, "string", "", "who says so: kernel, proxy or loop"),
    Attribute(
        WAIT_UPPER_BOUND, "double", "s", "the longest that it may have waited for a late event loop, where nobody knows"
    ),
    Attribute(
        LOOP_BLOCKED, "double", "s", "time that the engine ran on an event loop's thread: whatever is due there waited"
    ),
    Attribute(
        ABANDONED,
        "double",
        "s",
        "work of the engine after the listener had left; what comes after the synthesis's end has a span of its own",
    ),
    Attribute(ABANDONED_GPU_TIME, "double", "s", "estimate: share of device time in tts.abandoned.duration"),
    Attribute(ABANDONED_COST, "double", "{currency}", "estimate: the part of tts.cost in tts.abandoned.duration"),
)

LOOP_ATTRIBUTES: Final = (
    Attribute(LOOP_CAUSE, "string", "", "why the loop stood still; see the list of causes"),
    Attribute(LOOP_CPU, "double", "s", "CPU time of the loop's thread meanwhile: it computed; little: it waited"),
    Attribute(LOOP_CODE, "string", "", "where the loop's thread was seen: package/module.py:function:line"),
    Attribute(LOOP_COROUTINE, "string", "", "the coroutine that has called that, in the same form"),
)

AUDIO_ATTRIBUTES: Final = (
    Attribute(AUDIO_DURATION, "double", "s", "length of the audio"),
    Attribute(AUDIO_SAMPLE_RATE, "int", "Hz", "samples a second"),
    Attribute(AUDIO_CHANNELS, "int", "{channel}", "channels"),
    Attribute(AUDIO_SIZE, "int", "By", "bytes of the audio as it was delivered: a file, an encoding, an answer"),
    Attribute(AUDIO_FORMAT, "string", "", "container or encoding: wav, mp3, ogg, flac, pcm"),
    Attribute(AUDIO_PEAK, "double", "1", "largest magnitude, of full scale"),
    Attribute(AUDIO_RMS, "double", "1", "root mean square, of full scale"),
    Attribute(AUDIO_SILENCE_RATIO, "double", "1", "share of 10 ms windows below -40 dBFS"),
    Attribute(AUDIO_LEADING_SILENCE, "double", "s", "time before the first 50 ms above -40 dBFS"),
    Attribute(AUDIO_TRAILING_SILENCE, "double", "s", "time after the last 50 ms above -40 dBFS"),
    Attribute(AUDIO_CLIPPING_RATIO, "double", "1", "share of samples at or above 0.999 of full scale"),
    Attribute(AUDIO_CLICKS, "int", "{click}", "jumps of over half of full scale between two samples, outside clipping"),
    Attribute(AUDIO_DC_OFFSET, "double", "1", "mean of the samples, of full scale"),
    Attribute(AUDIO_ANOMALY, "string[]", "", "what looks wrong; see the list of anomalies"),
    Attribute(FILE_ERRORS, "int", "{error}", "packets of a delivered file that could not be decoded; absent for none"),
    Attribute(FILE_LINKS, "int", "{file}", "files in the delivered one, a sentence each; absent for one"),
    Attribute(
        REAL_TIME_FACTOR, "double", "1", "time inside the engine / audio duration; under 1 is faster than speech"
    ),
    Attribute(
        TIME_TO_FIRST_BYTE,
        "double",
        "s",
        "to the first audio, from the server span's start while its answer is open, else from the synthesis's",
    ),
    Attribute(TIME_TO_FIRST_AUDIO, "double", "s", "time to first byte, plus silence until sound; absent when silent"),
    Attribute(SEGMENT_LOUDNESS, "double[]", "dB", "RMS of each spoken segment, of full scale; the first 64"),
    Attribute(SEGMENT_PACE, "double[]", "{character}/s", "characters a second of each spoken segment; the first 64"),
    Attribute(LOUDNESS_DEVIATION, "double", "dB", "of the segment whose loudness is furthest from the median"),
    Attribute(
        PACE_DEVIATION,
        "double",
        "1",
        "of the segment whose pace is furthest from the median; 2: twice or half as fast",
    ),
    Attribute(STREAM_CHUNKS, "int", "{chunk}", "chunks delivered"),
    Attribute(STREAM_GAP, "double", "s", "longest time between two chunks"),
    Attribute(STREAM_UNDERRUN, "double", "s", "worst deficit of a player that starts at the first chunk"),
    Attribute(STREAM_CONTINUOUS, "boolean", "", "the underrun stayed under 0.1 s"),
    Attribute(
        STREAM_LAST_QUARTER,
        "double",
        "1",
        "share of the audio that came in the last quarter of the time; 1: in one burst",
    ),
)

SERVER_ATTRIBUTES: Final = (
    Attribute(HTTP_METHOD, "string", "", "the request's method, or _OTHER"),
    Attribute(URL_SCHEME, "string", "", "http, https, ws or wss"),
    Attribute(HTTP_ROUTE, "string", "", "the template of the route that took it, through mounted applications"),
    Attribute(HTTP_STATUS, "int", "1", "the answer's status; of a WebSocket 101, or 403 where it was not accepted"),
    Attribute(HTTP_VERSION, "string", "", "version of HTTP"),
)

TASK_ATTRIBUTES: Final = (
    Attribute(MESSAGING_SYSTEM, "string", "", "celery, rq or dramatiq"),
    Attribute(MESSAGING_DESTINATION, "string", "", "the queue that it came by"),
    Attribute(TASK, "string", "", "the task's name: a Celery task, the function of an RQ job, an actor"),
    Attribute(TASK_RETRIES, "int", "{retry}", "how often it was tried before; absent for 0"),
    Attribute(RPC_SYSTEM, "string", "", "grpc"),
    Attribute(RPC_SERVICE, "string", "", "the service of a call, with its package"),
    Attribute(RPC_METHOD, "string", "", "the method of a call"),
    Attribute(RPC_STATUS, "int", "1", "how a call ended: the number of gRPC's status"),
    Attribute(PROTOCOL, "string", "", "wyoming"),
)

STAGE_ATTRIBUTES: Final = (
    Attribute(STAGE, "string", "", "which stage"),
    Attribute(STAGE_SEGMENTS, "int", "{segment}", "repetitions folded into this span; absent for one"),
    Attribute(
        STAGE_HOST_DURATION, "double", "s", "time on the host's clock, where the span's own is another's or a sum"
    ),
    Attribute(REMOTE_ID, "string", "", "the id by which the process that does the work names it in its own logs"),
    Attribute(BATCH_SIZE, "int", "{request}", "requests whose work ran as one batch; the spans are linked"),
    Attribute(BATCH_SHARE, "double", "s", "this request's share of the batch's time: time / number of requests"),
    Attribute(TIMING_MODE, "string", "", "which clock took the times: host, sync or events"),
    Attribute(TIMING_STATUS, "string", "", "absent when all went well, else why the times are the host's"),
    Attribute(GPU_ELAPSED, "double", "s", "time between the stage's first and last device event"),
    Attribute(GPU_QUEUE_DELAY, "double", "s", "time between the host's call and the device's start"),
    Attribute(GPU_CLOCK_UNCERTAINTY, "double", "s", "bound on the error of device time mapped to host time"),
    Attribute(GPU_SYNC_WAIT, "double", "s", "what the sync clock cost: waiting for the device at the stage's ends"),
    Attribute(HW_ID, "string", "", "the device: GPU or MIG UUID"),
)

MEMORY_ATTRIBUTES: Final = (
    Attribute(MEMORY_ALLOCATED, "int", "By", "allocated by tensors at the stage's end"),
    Attribute(MEMORY_RESERVED, "int", "By", "held by the allocator at the stage's end"),
    Attribute(MEMORY_PEAK, "int", "By", "highest allocation during the stage"),
    Attribute(MEMORY_ALLOCATED_DELTA, "int", "By", "change of the allocation over the stage"),
    Attribute(MEMORY_RESERVED_DELTA, "int", "By", "change of the reservation over the stage"),
    Attribute(MEMORY_SLACK_RATIO, "double", "1", "share of the reservation that no tensor uses"),
    Attribute(MEMORY_ATTRIBUTION, "string", "", "exclusive, or shared where requests overlapped"),
    Attribute(MEMORY_DEVICE_ALLOCS, "int", "{allocation}", "blocks asked of the driver during the stage; absent for 0"),
    Attribute(MEMORY_DEVICE_FREES, "int", "{free}", "blocks given back to the driver during the stage; absent for 0"),
    Attribute(MEMORY_RETRIES, "int", "{retry}", "allocations that flushed the allocator's cache first; absent for 0"),
    Attribute(MEMORY_SYNCS, "int", "{synchronization}", "times the allocator waited for all streams; absent for 0"),
    Attribute(MEMORY_OOMS, "int", "{error}", "allocations that failed during the stage; absent for 0"),
    Attribute(MEMORY_OOM, "boolean", "", "the stage or the request ended for want of device memory"),
    Attribute(MEMORY_REQUESTED, "int", "By", "the allocation that failed"),
    Attribute(MEMORY_DEVICE_FREE, "int", "By", "free on the device when it failed"),
    Attribute(MEMORY_DEVICE_TOTAL, "int", "By", "memory of the device, or the limit that was set"),
)

LABEL_ATTRIBUTES: Final = (
    Attribute(SEGMENT_STATE, "string", "", "asked, spoken or empty"),
    Attribute(ESTIMATE, "string", "", "how it was estimated: timeshare of the device's clock, or timeshare_host"),
    Attribute(HW_TYPE, "string", "", "always gpu"),
    Attribute(HW_PARENT, "string", "", "the GPU that a MIG instance is a part of"),
    Attribute(HW_STATE, "string", "", "ok or failed"),
    Attribute(GPU_TASK, "string", "", "always general"),
    Attribute(RELAY_TO, "string", "", "where alerts go, by the name that it was given; never its key"),
)

ATTRIBUTES: Final = (
    REQUEST_ATTRIBUTES
    + LOOP_ATTRIBUTES
    + AUDIO_ATTRIBUTES
    + SERVER_ATTRIBUTES
    + TASK_ATTRIBUTES
    + STAGE_ATTRIBUTES
    + MEMORY_ATTRIBUTES
    + LABEL_ATTRIBUTES
)


class Anomaly:
    """What looks wrong with audio, where other code than its judge asks for it: values of ``tts.audio.anomaly``."""

    TRUNCATED: Final = "truncated"
    LIMIT_REACHED: Final = "limit_reached"


ANOMALIES: Final[dict[str, str]] = {
    "empty": "no samples",
    "silent": "no 50 ms above -40 dBFS",
    "clipped": "over 0.1 % of samples at or above 0.999 of full scale",
    "clicks": "more than three clicks a second",
    "nan": "samples that are not numbers",
    Anomaly.TRUNCATED: "fewer seconds a character than the engine's stated range, or it broke off without an error",
    "too_long": "more seconds a character than the engine's stated range",
    "dc_offset": "mean of the samples over 0.01 of full scale",
    "wrong_sample_rate": "not the rate that the engine states, or a rate that changed on the way",
    "wrong_channels": "not the number of channels that the engine states",
    "wrong_format": "the delivered file is not in the format that it claims",
    "codec_error": "a part of the delivered file cannot be decoded",
    Anomaly.LIMIT_REACHED: "a generation was cut at its limit of steps, before the model had ended it",
}


class ColdStart:
    """What a request does that later ones find done: values of ``tts.cold_start.kind``."""

    FIRST_REQUEST: Final = "first_request"
    MODEL_LOAD: Final = "model_load"
    FIRST_VOICE: Final = "first_voice"
    COMPILE: Final = "compile"


COLD_STARTS: Final[dict[str, str]] = {
    ColdStart.FIRST_REQUEST: "the first synthesis of this engine in this process",
    ColdStart.MODEL_LOAD: "a model was loaded inside the request",
    ColdStart.FIRST_VOICE: "a reference voice that this engine has not spoken with in this process",
    ColdStart.COMPILE: "torch compiled code inside the request",
}

SILENT_FAILURES: Final = frozenset({"empty", "silent", "nan", Anomaly.TRUNCATED})
"""Anomalies that turn an ``ok`` outcome into ``anomalous``; the others are noted on a request that stays ok."""

# --- metrics ---------------------------------------------------------------------------------------------------------

DURATION_EDGES: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 60.0)
RTF_EDGES: Final = (0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 5.0)
LENGTH_EDGES: Final = (10.0, 25.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0, 20000.0)
SHARE_EDGES: Final = (0.1, 0.25, 0.3, 0.4, 0.5, 0.6, 0.75, 0.9, 0.99)
LOUDNESS_EDGES: Final = (0.5, 1.0, 2.0, 3.0, 6.0, 9.0, 12.0, 20.0)
PACE_EDGES: Final = (1.1, 1.2, 1.35, 1.5, 1.75, 2.0, 2.5, 3.0, 5.0)
COUNT_EDGES: Final = (0.0, 1.0, 2.0, 3.0, 5.0, 8.0, 16.0, 32.0, 64.0)
BYTES_EDGES: Final = tuple(float(2**n) for n in range(24, 38))
BODY_EDGES: Final = tuple(float(2**n) for n in range(8, 28, 2))
HTTP_EDGES: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""Those that the conventions of HTTP advise."""

Kind = Literal["counter", "histogram", "updowncounter", "gauge"]


@dataclass(frozen=True)
class Metric:
    """One instrument: its name, kind, unit, labels, histogram edges and meaning."""

    name: str
    kind: Kind
    unit: str
    labels: tuple[str, ...]
    meaning: str
    edges: tuple[float, ...] = ()


REQUESTS: Final = Metric(
    "tts.requests", "counter", "{request}", (ENGINE, MODEL, VOICE, OUTCOME, ERROR_TYPE), "syntheses by how they ended"
)
REQUEST_DURATION: Final = Metric(
    "tts.request.duration", "histogram", "s", (ENGINE, MODEL, OUTCOME), "a synthesis, start to end", DURATION_EDGES
)
STAGE_DURATION: Final = Metric(
    "tts.stage.duration", "histogram", "s", (ENGINE, STAGE), "a request's time in a stage, all segments", DURATION_EDGES
)
QUEUE_DURATION: Final = Metric("tts.queue.duration", "histogram", "s", (ENGINE,), "waiting before work", DURATION_EDGES)
REQUESTS_ACTIVE: Final = Metric("tts.requests.active", "updowncounter", "{request}", (ENGINE,), "syntheses under way")
FIRST_AUDIO: Final = Metric(
    TIME_TO_FIRST_AUDIO, "histogram", "s", (ENGINE, MODEL), "until the first audible sample", DURATION_EDGES
)
FIRST_BYTE: Final = Metric(
    TIME_TO_FIRST_BYTE, "histogram", "s", (ENGINE, MODEL), "until the first audio", DURATION_EDGES
)
RTF: Final = Metric(REAL_TIME_FACTOR, "histogram", "1", (ENGINE, MODEL), "engine time / audio duration", RTF_EDGES)
AUDIO_SECONDS: Final = Metric(
    AUDIO_DURATION, "histogram", "s", (ENGINE, MODEL), "length of the audio made", DURATION_EDGES
)
TEXT_CHARACTERS: Final = Metric(
    TEXT_LENGTH, "histogram", "{character}", (ENGINE, MODEL), "length of the text", LENGTH_EDGES
)
GENERATIONS: Final = Metric(
    "tts.generations",
    "counter",
    "{synthesis}",
    (ENGINE, MODEL, FINISH_REASON),
    "syntheses by why their generation ended",
)
UNDERRUN: Final = Metric(
    STREAM_UNDERRUN, "histogram", "s", (ENGINE,), "a stream's worst deficit", (0.0, *DURATION_EDGES)
)
LAST_QUARTER: Final = Metric(
    STREAM_LAST_QUARTER, "histogram", "1", (ENGINE,), "share of a stream in the last quarter of its time", SHARE_EDGES
)
SEGMENTS: Final = Metric(
    "tts.segments", "counter", "{segment}", (ENGINE, SEGMENT_STATE), "segments asked for, spoken and empty"
)
LOUDNESS_APART: Final = Metric(
    LOUDNESS_DEVIATION, "histogram", "dB", (ENGINE,), "the segment furthest from the others' loudness", LOUDNESS_EDGES
)
PACE_APART: Final = Metric(
    PACE_DEVIATION, "histogram", "1", (ENGINE,), "the segment furthest from the others' pace", PACE_EDGES
)
AUDIO_ANOMALIES: Final = Metric(
    "tts.audio.anomalies", "counter", "{audio}", (ENGINE, AUDIO_ANOMALY), "audio that looks wrong, by what"
)
OTHERS_AT_START: Final = Metric(
    OTHERS, "histogram", "{request}", (ENGINE,), "syntheses that were open when one began", COUNT_EDGES
)
WAIT_TIME: Final = Metric(
    WAIT, "histogram", "s", (ENGINE, WAIT_SOURCE), "from the connection to the application", DURATION_EDGES
)
LOOP_BLOCKED_TIME: Final = Metric(
    LOOP_BLOCKED, "histogram", "s", (ENGINE,), "a synthesis on an event loop's thread", DURATION_EDGES
)
LOOP_LAG: Final = Metric(
    "tts.event_loop.lag", "gauge", "s", (), "how late the event loop did what was due, at worst in the last minute"
)
ABANDONED_GPU: Final = Metric(
    ABANDONED_GPU_TIME,
    "counter",
    "s",
    (ENGINE, MODEL, ESTIMATE),
    "the part of tts.gpu.time after the listener had left",
)
ABANDONED_ENERGY: Final = Metric(
    "tts.abandoned.energy", "counter", "J", (ENGINE, MODEL, ESTIMATE),
    "the part of tts.gpu.energy after the listener had left",
)  # fmt: skip
ABANDONED_MONEY: Final = Metric(
    ABANDONED_COST, "counter", "{currency}", (ENGINE, MODEL, COST_CURRENCY, ESTIMATE),
    "the part of tts.cost after the listener had left",
)  # fmt: skip
ABANDONED_TIME: Final = Metric(
    ABANDONED, "counter", "s", (ENGINE, MODEL), "work of engines after the listener had left"
)
OPEN_AGE: Final = Metric("tts.stage.open_age", "gauge", "s", (ENGINE, STAGE), "age of the oldest open stage")
MODEL_LOAD: Final = Metric(
    "tts.model.load.duration",
    "histogram",
    "s",
    (ENGINE, MODEL, OUTCOME),
    "loading a model; tts.outcome only where it failed",
    DURATION_EDGES,
)
DEVICE_FALLBACKS: Final = Metric("tts.device.fallbacks", "counter", "{fallback}", (ENGINE,), "from a device to the CPU")
MEMORY_LEAK: Final = Metric("tts.gpu.memory.leak", "gauge", "By", (HW_ID,), "bytes a request at quiescence")
MEMORY_HIGH_WATER: Final = Metric(
    "tts.gpu.memory.high_water", "gauge", "By", (HW_ID,), "kept since a request needed more than any before; no leak"
)
HOST_MEMORY_LEAK: Final = Metric(
    "tts.process.memory.leak", "gauge", "By", (), "resident memory a request that stays when none is open"
)
HOST_HIGH_WATER: Final = Metric(
    "tts.process.memory.high_water",
    "gauge",
    "By",
    (),
    "resident memory kept since a text longer than any before: no leak",
)
STAGE_MEMORY_PEAK: Final = Metric(
    "tts.gpu.memory.peak", "histogram", "By", (ENGINE, STAGE), "highest allocation during a stage", BYTES_EDGES
)
GPU_TIME: Final = Metric(
    "tts.gpu.time", "counter", "s", (ENGINE, MODEL, ESTIMATE), "device time, fair share; an estimate"
)
GPU_ENERGY: Final = Metric(
    "tts.gpu.energy", "counter", "J", (ENGINE, MODEL, ESTIMATE), "energy, fair share; an estimate"
)
GPU_ENERGY_IDLE: Final = Metric(
    "tts.gpu.energy.idle", "counter", "J", (HW_ID,), "energy that no request is charged with: the device's idle draw"
)
GPU_COST: Final = Metric(COST, "counter", "{currency}", (ENGINE, MODEL, COST_CURRENCY, ESTIMATE), "cost, an estimate")
GPU_PROCESS_MEMORY: Final = Metric(
    "tts.gpu.process.memory",
    "gauge",
    "By",
    (HW_ID, HW_PARENT),
    "device memory of this process, as the driver counts it",
)
GPU_THROTTLED: Final = Metric(
    "tts.gpu.throttled", "gauge", "1", (HW_ID, REASON), "1 while the device lowers its clocks for that reason"
)
HW_MEMORY_LIMIT: Final = Metric(
    "hw.gpu.memory.limit", "updowncounter", "By", (HW_ID, HW_PARENT), "memory of the device"
)
HW_MEMORY_USAGE: Final = Metric(
    "hw.gpu.memory.usage", "updowncounter", "By", (HW_ID, HW_PARENT), "memory in use, all processes"
)
HW_MEMORY_UTILIZATION: Final = Metric("hw.gpu.memory.utilization", "gauge", "1", (HW_ID, HW_PARENT), "usage / limit")
HW_UTILIZATION: Final = Metric(
    "hw.gpu.utilization", "gauge", "1", (HW_ID, GPU_TASK), "share of time with any kernel running, however small"
)
HW_POWER: Final = Metric("hw.power", "gauge", "W", (HW_ID, HW_TYPE), "power draw")
HW_TEMPERATURE: Final = Metric("hw.temperature", "gauge", "Cel", (HW_ID, HW_TYPE), "temperature of the chip")
HW_ENERGY: Final = Metric("hw.energy", "counter", "J", (HW_ID, HW_TYPE), "energy since the driver was loaded")
HW_ERRORS: Final = Metric(
    "hw.errors", "counter", "{error}", (HW_ID, HW_TYPE, ERROR_TYPE), "memory errors: corrected and uncorrected"
)
HW_STATUS: Final = Metric("hw.status", "updowncounter", "1", (HW_ID, HW_TYPE, HW_STATE), "1 for ok or for failed: lost")
_SERVED: Final = (HTTP_METHOD, URL_SCHEME, HTTP_ROUTE, HTTP_STATUS, HTTP_VERSION, ERROR_TYPE)
SERVER_DURATION: Final = Metric(
    "http.server.request.duration", "histogram", "s", _SERVED, "an HTTP request, until its answer was out", HTTP_EDGES
)
SERVER_ACTIVE: Final = Metric(
    "http.server.active_requests", "updowncounter", "{request}", (HTTP_METHOD, URL_SCHEME), "HTTP requests under way"
)
SERVER_REQUEST_SIZE: Final = Metric(
    "http.server.request.body.size", "histogram", "By", _SERVED, "body of an HTTP request, as announced", BODY_EDGES
)
SERVER_RESPONSE_SIZE: Final = Metric(
    "http.server.response.body.size", "histogram", "By", _SERVED, "body of an answer, as announced", BODY_EDGES
)
WATCH_PROBES: Final = Metric(
    "tts.watch.probes", "counter", "{request}", (OUTCOME,), "probes of `otel-tts watch`; in no other metric of requests"
)
WATCH_HEARTBEAT: Final = Metric("tts.watch.heartbeat", "gauge", "s", (), "when the watcher looked last, Unix time")
DROPPED: Final = Metric("otel_tts.dropped", "counter", "{item}", (REASON,), "telemetry that could not be kept")
REDACTED: Final = Metric("otel_tts.redacted", "counter", "{item}", (REASON,), "removed by the privacy gate")
NOT_KEPT: Final = Metric(
    "otel_tts.not_kept", "counter", "{span}", (REASON,), "ended spans of traces that OTEL_TTS_KEEP did not keep"
)
FAULTS: Final = Metric("otel_tts.faults", "counter", "{item}", (REASON,), "errors inside otel-tts, all contained")

# Of the relay and of the archive, which are processes of their own.
RELAY_GROUPS: Final = Metric("tts.relay.groups", "counter", "{group}", (), "groups of alerts that were taken")
RELAY_REFUSED: Final = Metric("tts.relay.refused", "counter", "{request}", (REASON,), "what was not taken, by why")
RELAY_SENT: Final = Metric("tts.relay.sent", "counter", "{message}", (RELAY_TO,), "messages that were delivered")
RELAY_FAILED: Final = Metric("tts.relay.failed", "counter", "{attempt}", (RELAY_TO, REASON), "attempts without success")
RELAY_WAITING: Final = Metric("tts.relay.waiting", "gauge", "{message}", (RELAY_TO,), "messages to be delivered")
RELAY_WAITING_AGE: Final = Metric("tts.relay.waiting.age", "gauge", "s", (RELAY_TO,), "age of the oldest of them")
RELAY_ASIDE: Final = Metric(
    "tts.relay.put_aside", "counter", "{message}", (RELAY_TO, REASON), "messages that are kept and not tried any more"
)

ARCHIVE_WAITING_SIZE: Final = Metric("tts.archive.waiting.size", "gauge", "By", (), "log files that are not verified")
ARCHIVE_WAITING_SINCE: Final = Metric(
    "tts.archive.waiting.since", "gauge", "s", (), "when the oldest of them was read, or now: Unix time"
)
ARCHIVE_SIZE: Final = Metric("tts.archive.size", "gauge", "By", (), "all log files that are kept on this disk")

METRICS: Final = (
    REQUESTS, REQUEST_DURATION, STAGE_DURATION, QUEUE_DURATION, REQUESTS_ACTIVE, FIRST_AUDIO, FIRST_BYTE, RTF,
    AUDIO_SECONDS, TEXT_CHARACTERS, GENERATIONS, UNDERRUN, AUDIO_ANOMALIES, OPEN_AGE, MODEL_LOAD, DEVICE_FALLBACKS,
    MEMORY_LEAK, STAGE_MEMORY_PEAK, GPU_TIME, GPU_ENERGY, GPU_ENERGY_IDLE, GPU_COST, GPU_PROCESS_MEMORY, GPU_THROTTLED,
    HW_MEMORY_LIMIT, HW_MEMORY_USAGE, HW_MEMORY_UTILIZATION, HW_UTILIZATION, HW_POWER, HW_TEMPERATURE, HW_ENERGY,
    HW_ERRORS, HW_STATUS, SERVER_DURATION, SERVER_ACTIVE, SERVER_REQUEST_SIZE, SERVER_RESPONSE_SIZE, LAST_QUARTER,
    SEGMENTS, LOUDNESS_APART, PACE_APART, OTHERS_AT_START, WAIT_TIME, LOOP_BLOCKED_TIME, LOOP_LAG, ABANDONED_TIME,
    ABANDONED_GPU, ABANDONED_ENERGY, ABANDONED_MONEY,
    MEMORY_HIGH_WATER, HOST_MEMORY_LEAK, HOST_HIGH_WATER, WATCH_PROBES, WATCH_HEARTBEAT, DROPPED, REDACTED, NOT_KEPT,
    FAULTS,
    RELAY_GROUPS, RELAY_REFUSED, RELAY_SENT, RELAY_FAILED, RELAY_WAITING, RELAY_WAITING_AGE, RELAY_ASIDE,
    ARCHIVE_WAITING_SIZE, ARCHIVE_WAITING_SINCE, ARCHIVE_SIZE,
)  # fmt: skip

OTHER: Final = "other"
UNKNOWN_ENGINE: Final = "unknown"
"""Value of `ENGINE` where a request was answered with audio and no table has seen its engine."""
"""Label value that stands for all values beyond a label's bound."""

# --- log lines -------------------------------------------------------------------------------------------------------

REQ_START: Final = "REQ_START"
REQ_SUCCESS: Final = "REQ_SUCCESS"
REQ_FAIL: Final = "REQ_FAIL"
REQ_STUCK: Final = "REQ_STUCK"
REQ_ABANDONED: Final = "REQ_ABANDONED"
LOOP_LATE: Final = "LOOP_LATE"
AUDIO_FILE: Final = "AUDIO_FILE"
STAGE_TIME: Final = "STAGE_TIME"

LOG_LINES: Final[dict[str, str]] = {
    REQ_START: "a synthesis began; leaves at once",
    REQ_SUCCESS: "it ended with outcome ok",
    REQ_FAIL: "it ended with any other outcome",
    STAGE_TIME: "seconds in each stage, one line a request: acoustic_model.gpt is a part of acoustic_model, total is "
    "the synthesis, other what is in no stage (absent where stages overlap); in JSON the stages stand under stages",
    REQ_STUCK: "a request is open too long; gives its age, the open stage and that one's age",
    REQ_ABANDONED: "an engine went on after its listener had left and the synthesis had ended",
    LOOP_LATE: "an event loop did nothing that was due for a second and more; lag, cause and where it stood",
    AUDIO_FILE: "what a delivered file says of itself, where it was read after its request's span had left",
}

LOG_FIELDS: Final[dict[str, str]] = {
    "request_id": "the request",
    "request_id.offered": "the id in its earlier lines",
    "engine": "tts.engine.name",
    "text_len": "characters of the text",
    "voice": "preset, keyed hash or chosen name",
    "emotion": "tts.emotion.mode",
    "canary": "true for a probe of `otel-tts watch`",
    "duration": "seconds of the synthesis",
    "audio_duration": "seconds of audio",
    "audio_size": "bytes of audio",
    "sample_rate": "samples a second",
    "channels": "channels",
    "format": "the delivered file's format",
    "rtf": "real-time factor",
    "finish_reason": "why the generation ended",
    "steps": "tts.generation.steps",
    "limit": "tts.generation.limit",
    "gpu_memory_peak": "highest allocation of device memory in bytes",
    "status": "the outcome",
    "error_type": "what decided the outcome: the exception's class, or anomalies",
    "stage": "the stage that failed or is open",
    "wait": "seconds from when the connection had the request to when the application got it",
    "wait_upper_bound": "the longest that it may have waited for the event loop, where that is not known",
    "others": "syntheses that were open when it began",
    "loop_blocked": "seconds that the engine ran on the event loop's thread",
    "segments": "segments that the text was cut into",
    "spoken": "segments that sound came of",
    "empty": "segments that none came of",
    "loudness_deviation": "dB between the loudness of the most different segment and the median",
    "pace_deviation": "ratio between the pace of the most different segment and the median",
    "last_quarter": "share of the audio that came in the last quarter of the time",
    "abandoned": "seconds of work after the listener had left",
    "lag": "seconds that the event loop did nothing that was due",
    "cause": "why: code, gc, interpreter or not_scheduled",
    "cpu": "seconds of CPU time of the loop's thread meanwhile",
    "code": "where the loop's thread was: package/module.py:function:line",
    "coroutine": "the coroutine that has called that",
    "age": "seconds since the request began",
    "stage_age": "seconds since the open stage began",
}
