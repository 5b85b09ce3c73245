"""`mugkit prepare` and `mugkit run` where they cannot write: a full disk, a read-only folder, no home, no permission.

Each command is a process in a mount namespace of its own (a small tmpfs, a read-only mount), or without capabilities
(root would ignore permissions). It must end with exit code 2, name the place and a fix, and leave nothing half-written;
where the disk was full, the same command must succeed once there is room.
"""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from made_up import make_dataset

from mugkit.data import store
from reliability.scenario import Outcome

TESTS = Path(__file__).resolve().parents[1]
# The console script without a repository around it, and with a text encoder that costs nothing.
MUGKIT = f"""
import sys
sys.path.insert(0, {str(TESTS)!r})
from mugkit import cli, files
files.repository = lambda: None
if "run" in sys.argv:
    from small import bag_of_words
    from mugkit.data import text
    text._encode = bag_of_words
cli.app()
"""
TABLE = "id,text,label,split\na,so good,1.5,train\nb,so bad,-2,valid\nc,so so,0,test\n"
RUN = "run --system mug --dataset made-up --profile smoke"
POWERLESS = "setpriv --bounding-set=-all --inh-caps=-all"
NO_HOME = "env -u HOME -u MUGKIT_HOME setpriv --reuid 54321 --clear-groups --bounding-set=-all --inh-caps=-all"
READ_ONLY = 'mount --bind "$HOME_OF_MUGKIT" "$HOME_OF_MUGKIT"; mount -o remount,ro,bind "$HOME_OF_MUGKIT"'
# A tmpfs that holds the data set and {spare} bytes more; it counts whole pages of files, and no folders.
FULL = """size={spare} page=$(getconf PAGESIZE)
for bytes in $(find "$HOME_OF_MUGKIT" -type f -printf '%s\\n'); do
    size=$(( size + (bytes + page - 1) / page * page ))
done
cp -a "$HOME_OF_MUGKIT" "$HOME_OF_MUGKIT.kept"
mount -t tmpfs -o size=$size tmpfs "$HOME_OF_MUGKIT"
cp -a "$HOME_OF_MUGKIT.kept/." "$HOME_OF_MUGKIT\""""
MORE_ROOM = 'mount -o remount,size=256m "$HOME_OF_MUGKIT"'


@dataclass(frozen=True)
class Place:
    """Where and what is tried. In shell commands $HOME_OF_MUGKIT is a folder with a prepared data set."""

    name: str
    arguments: str
    setup: str = ":"  # shell commands that make the place
    around: str = ""  # a command that the command line runs under
    after: str = ""  # shell commands that put the place right; '' if that is not tried


def places(prepare: str) -> list[Place]:
    """All of them, the commands in turn. `prepare` is the command that prepares a table."""
    commands = {"run": RUN, "prepare": prepare}
    room = [("run", spare) for spare in (4, 16, 64, 128, 256, 352)]  # KiB; 384 are enough
    room += [("prepare", spare) for spare in (4, 12)]
    shut = {
        "read-only folder": (READ_ONLY, ""),
        "not writable": ('chmod -R a-w "$HOME_OF_MUGKIT"', POWERLESS),
        "not readable": ('chmod 0 "$HOME_OF_MUGKIT"', POWERLESS),
    }
    return [
        *(
            Place(f"full disk, {name}", commands[name], FULL.format(spare=spare * 1024), after=MORE_ROOM)
            for name, spare in room
        ),
        *(
            Place(f"{kind}, {name}", command, setup, around)
            for kind, (setup, around) in shut.items()
            for name, command in commands.items()
        ),
        Place("home does not exist, prepare", prepare, around="env -u MUGKIT_HOME HOME=/proc/none"),
        Place("no home directory, prepare", prepare, around=NO_HOME),
    ]


def allowed() -> str:
    """Why this machine cannot make such places; '' if it can."""
    for tool in ("unshare", "setpriv"):
        if not shutil.which(tool):
            return f"{tool} (util-linux) is not installed"
    done = subprocess.run(
        ["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True, text=True, check=False
    )
    return f"mount namespaces are not allowed here: {done.stderr.strip()}" if done.returncode else ""


def run(folder: Path, names: Collection[str] = ()) -> Outcome:
    """Tries all places, or one of each of these names."""
    outcome, table = Outcome(), folder / "table.csv"
    folder.mkdir(parents=True, exist_ok=True)
    table.write_text(TABLE)
    table.chmod(0o644)
    found = places(f"prepare mosi --source {table}")
    chosen = list({place.name: place for place in found if place.name in names}.values()) if names else found
    for number, place in enumerate(chosen):
        home = folder / f"home-{number}"
        store.save(make_dataset((24, 8, 8)), home / "data" / "made-up")
        outcome.count(place.name, _try(place, home))
    return outcome


def _try(place: Place, home: Path) -> str:
    """What is wrong with how a command ends; '' if nothing."""
    command = f"{place.around} {sys.executable} -c {shlex.quote(MUGKIT)} {place.arguments}"
    script = f"""set -e
{place.setup}
set +e
{command} >/dev/null; echo "code $?"
[ -r "$HOME_OF_MUGKIT" ] && find "$HOME_OF_MUGKIT" -name '*.tmp'
if [ -n {place.after!r} ]; then {place.after or ":"}; {command} >/dev/null 2>&1; echo "again $?"; fi"""
    surroundings = os.environ | {"HOME_OF_MUGKIT": str(home), "MUGKIT_HOME": str(home), "MUGKIT_PROGRESS": "0"}
    done = subprocess.run(
        ["unshare", "--mount", "bash", "-c", script],
        env=surroundings, cwd="/", capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    home.chmod(0o755)
    printed, told = done.stdout.splitlines(), " ".join(done.stderr.split())
    codes = dict(line.split() for line in printed if line.startswith(("code ", "again ")))
    halves = [line for line in printed if line.endswith(".tmp")]
    if codes.get("code") != "2" or "Traceback" in told:
        return f"ended with {codes.get('code')}: {told[-1500:]}"
    if "error: " not in told or " fix: " not in told or not ("/" in told or "MUGKIT_HOME" in told):
        return f"said {told[-500:]}"
    if halves:
        return f"left {halves}"
    return "" if codes.get("again", "0") == "0" else "failed again with room"
