"""A load of streamed chat requests, from processes of its own: so many clients, each of which sends its next
request when the last one has ended.

The first answers have random lengths, so that the clients do not stay in step. Requests that are open when
the time is over are dropped and not counted. Needs `aiohttp`, which Dynamo brings.
"""

import asyncio
import json
import multiprocessing
import random
import time

import aiohttp

# One process of Python reads some thousand tokens a second.
CLIENTS_A_PROCESS = 16
# Requests that began in the measured time get this long for their first token.
GRACE_SECONDS = 3.0
LONGEST_REQUEST_SECONDS = 300
LOOK_SECONDS = 1.0
# A client whose request failed tries again after that.
AGAIN_SECONDS = 0.25


def words_of(tokenizer_file):
    """Words that are one token each, after a space."""
    with open(tokenizer_file, encoding="utf-8") as file:
        tokenizer = json.load(file)
    pairs = tokenizer["model"]["merges"]
    merged = {"".join(pair if isinstance(pair, list) else pair.split(" ")) for pair in pairs}
    return sorted(one[1:] for one in merged if one[0] == "\u0120" and one[1:].isascii() and one[1:].isalpha())


def text(words, tokens, seed):
    chosen = random.Random(seed)
    return " ".join(chosen.choice(words) for _ in range(tokens))


def new_record(pin):
    """Of a request: times of its start, of each piece and of its end, tokens as the server counts them, and
    what went wrong. One that was dropped has no end.

    @param pin: number of the worker that it is for, or None
    """
    start = time.monotonic()
    return {
        "start": start,
        "pin": pin,
        "pieces": [],
        "tokens": 0,
        "prompt": 0,
        "cached": None,
        "error": None,
        "end": None,
    }


async def ask(session, target, prompt, answer, record):
    """One streamed request, written into its record."""
    body = {
        "model": target["model"],
        "messages": [{"role": "user", "content": prompt}],
        "max_tokens": answer,
        "ignore_eos": True,
        "stream": True,
        "stream_options": {"include_usage": True},
        **({} if record["pin"] is None else {"nvext": {"backend_instance_id": record["pin"]}}),
    }
    try:
        async with session.post(target["url"] + "/chat/completions", json=body) as response:
            if response.status != 200:
                record["error"] = "HTTP %d: %s" % (response.status, (await response.text())[:200])
            async for line in response.content:
                if response.status != 200 or not line.startswith(b"data: {"):
                    continue
                if b'"content"' in line or b'"reasoning_content"' in line:
                    record["pieces"].append(time.monotonic())
                if b'"usage":{' in line or b'"usage": {' in line:
                    usage = json.loads(line[6:])["usage"]
                    record["tokens"] = usage["completion_tokens"]
                    record["prompt"] = usage["prompt_tokens"]
                    record["cached"] = (usage.get("prompt_tokens_details") or {}).get("cached_tokens")
        if record["error"] is None and record["tokens"] != answer:
            record["error"] = "%d of %d tokens" % (record["tokens"], answer)
    except (aiohttp.ClientError, asyncio.TimeoutError, ValueError) as error:
        record["error"] = "%s: %s" % (type(error).__name__, error)
    record["end"] = time.monotonic()


def session_of(target):
    # The gateway's certificate was made on this machine, which nothing leaves.
    return aiohttp.ClientSession(
        headers={"Authorization": "Bearer " + target["key"]} if target.get("key") else {},
        connector=aiohttp.TCPConnector(ssl=False, limit=0),
        timeout=aiohttp.ClientTimeout(total=LONGEST_REQUEST_SECONDS),
        read_bufsize=1 << 20,
    )


async def client(session, target, load, number, until, records):
    pins = load.get("pins") or [None]
    chosen = random.Random("%s client %d" % (load["seed"], number))
    count = 0
    while time.monotonic() < until.value:
        beginning = ""
        if load["prefixes"]:
            prefix = chosen.randrange(load["prefixes"])
            seed = "%s prefix %d" % (load["seed"], prefix)
            beginning = text(load["words"], load["prefixTokens"], seed) + " "
        prompt = text(load["words"], load["prompt"], "%s %d %d" % (load["seed"], number, count))
        answer = chosen.randrange(1, load["answer"] + 1) if count == 0 else load["answer"]
        # The last one in the list may soon be another client's.
        record = new_record(pins[number % len(pins)])
        records.append(record)
        task = asyncio.ensure_future(ask(session, target, beginning + prompt, answer, record))
        # The end may be brought forward meanwhile.
        while not task.done() and time.monotonic() < until.value + GRACE_SECONDS:
            left = until.value + GRACE_SECONDS - time.monotonic()
            await asyncio.wait({task}, timeout=max(0.0, min(LOOK_SECONDS, left)))
        if not task.done():
            task.cancel()
            return
        task.result()
        if record["error"] is not None:
            await asyncio.sleep(AGAIN_SECONDS)
        count += 1


async def clients(target, load, numbers, until):
    records = []
    async with session_of(target) as session:
        tasks = [client(session, target, load, number, until, records) for number in numbers]
        await asyncio.gather(*tasks)
    return records


def process(target, load, numbers, until, pipe):
    pipe.send(asyncio.run(clients(target, load, numbers, until)))


def percentile(values, share):
    ordered = sorted(values)
    if not ordered:
        return None
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def milliseconds(values, share):
    value = percentile(values, share)
    return None if value is None else round(1000 * value, 1)


def summary(records, opens, closes, gpus):
    """What the records show of the measured time."""
    seconds = closes - opens
    whole = [one for one in records if one["error"] is None and one["end"] is not None]
    # A piece may carry several tokens.
    per_piece = sum(one["tokens"] for one in whole) / max(1, sum(len(one["pieces"]) for one in whole))
    tokens = per_piece * sum(opens <= at < closes for one in records for at in one["pieces"])
    began = [one for one in records if opens <= one["start"] < closes and one["pieces"]]
    ended = [one for one in whole if opens <= one["end"] < closes and len(one["pieces"]) > 1]
    ttft = [one["pieces"][0] - one["start"] for one in began]
    long = [one for one in ended if one["tokens"] > 8]
    tpot = [(one["pieces"][-1] - one["pieces"][0]) / (one["tokens"] - 1) for one in long]
    gaps = [b - a for one in ended for a, b in zip(one["pieces"], one["pieces"][1:])]
    cached = [one["cached"] / one["prompt"] for one in ended if one["cached"] is not None]
    return {
        "seconds": round(seconds, 1),
        "tokensPerSecondPerGpu": round(tokens / seconds / gpus, 1),
        "requestsPerSecond": round(len(ended) / seconds, 2),
        "ttftMs": {"p50": milliseconds(ttft, 0.5), "p99": milliseconds(ttft, 0.99)},
        "tokenMs": {"p50": milliseconds(tpot, 0.5), "p99": milliseconds(tpot, 0.99)},
        "gapMs": {"p50": milliseconds(gaps, 0.5), "p99": milliseconds(gaps, 0.99)},
        "tokensPerPiece": round(per_piece, 2),
        "promptTokens": percentile([one["prompt"] for one in ended], 0.5),
        "cachedShare": round(sum(cached) / len(cached), 3) if cached else None,
        "requests": len(records),
        "lost": sum(one["error"] is not None for one in records),
        # Asked before the measured time, and without a token at its end: nobody knows whether it is lost.
        "silent": sum(
            one["error"] is None and one["end"] is None and not one["pieces"] and one["start"] < opens
            for one in records
        ),
        "errors": sorted({one["error"] for one in records if one["error"] is not None})[:5],
    }


def run(target, load, during=None):
    """Sends a load, of `clients` for `warmSeconds` and then `seconds` that are measured.

    @param target: "urls" to send it to, instead of "url", take turns by process
    @param during: called in the middle, in this process; it may return after how many seconds the load ends,
        if sooner
    @returns: (records, start of the measured time, its end)
    """
    opens = time.monotonic() + load["warmSeconds"]
    closes = opens + load["seconds"]
    # Without a seed of its own a second run would find the prompts of the first one in the cache.
    load = {**load, "seed": load.get("seed") or str(random.random())}
    count = max(1, min(load["clients"] // 2, -(-load["clients"] // CLIENTS_A_PROCESS)))
    until = multiprocessing.Value("d", closes, lock=False)
    started = []
    for index in range(count):
        urls = target.get("urls") or [target["url"]]
        own = {**target, "url": urls[index % len(urls)]}
        ours, theirs = multiprocessing.Pipe(duplex=False)
        numbers = range(index, load["clients"], count)
        one = multiprocessing.Process(target=process, args=(own, load, numbers, until, theirs), daemon=True)
        one.start()
        theirs.close()
        started.append((one, ours))
    left = None if during is None else during()
    if left is not None:
        closes = until.value = min(closes, time.monotonic() + left)
    records = [record for _, pipe in started for record in pipe.recv()]
    for one, _ in started:
        one.join()
    return records, opens, closes
