"""Runs the Python reader on forged indexes, as forged-commands.mjs runs the commands of zgq.

    python3 forged_commands.py READER.py JOBS.json QUERIES.fbin
"""
import contextlib
import gc
import importlib.util
import io
import json
import re
import sys
import time

reader_path, jobs_path, queries = sys.argv[1:]
spec = importlib.util.spec_from_file_location("reader", reader_path)
reader = importlib.util.module_from_spec(spec)
spec.loader.exec_module(reader)
ARGUMENTS = {"python search": lambda folder: [folder, queries, "--exact"], "python check": lambda folder: ["--check", folder]}


def memory(name):
    with open("/proc/self/status", encoding="ascii") as file:
        return int(re.search(name + r":\s*(\d+)", file.read())[1]) * 1024


with open(jobs_path, encoding="utf-8") as jobs:
    for job in json.load(jobs):
        print(json.dumps(job), flush=True)
        gc.collect()
        with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
            file.write("5")
        before, started = memory("VmRSS"), time.process_time()
        stdout, stderr = io.StringIO(), io.StringIO()
        try:
            with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
                code = reader.main(ARGUMENTS[job["command"]](job["folder"]))
            found = re.match(r"reader: (ZGQ_\w+): ", stderr.getvalue())
            outcome = "fine" if code == 0 else found[1] if found else stderr.getvalue()
            if re.search("[\0-\x09\x0b-\x1f\x7f-\x9f]", stdout.getvalue() + stderr.getvalue()):
                outcome = "wrong: control characters printed"
            if "NaN" in stdout.getvalue() or "Infinity" in stdout.getvalue():
                outcome = "wrong: a distance that is no number"
        except BaseException as error:  # whatever it is, it is what the user would see
            outcome = f"not a ZgqError: {error!r}"
        print(json.dumps({**job, "outcome": outcome, "cpuMs": (time.process_time() - started) * 1000,
                          "bytes": memory("VmHWM") - before}), flush=True)
