"""Executes damaged copies of programs, and says what became of each, or of how many.

    elf.py cut FILE...                  every interesting length: one line each
    elf.py flip SEED COUNT FILE...      COUNT copies with some bits flipped: a summary

Whatever the outcome, it is one of execve's errors or the end of a process.
"""
import collections, errno, os, random, struct, subprocess, sys

NULL = subprocess.DEVNULL


def outcome(content):
    # A new file each time: the one before may still be running.
    path = "/tmp/elf-%d-%d" % (os.getpid(), outcome.count)
    outcome.count += 1
    fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o755)
    os.write(fd, content) if content else None
    os.close(fd)
    try:
        child = subprocess.Popen([path], stdin=NULL, stdout=NULL, stderr=NULL)
    except OSError as error:
        return errno.errorcode[error.errno]
    finally:
        os.unlink(path)
    try:
        return "status %d" % child.wait(timeout=5)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
        return "endless"


outcome.count = 0


def headers(content):
    """The program headers: offset and length in the file of what they name."""
    offset, = struct.unpack_from("<Q", content, 32)
    size, count = struct.unpack_from("<HH", content, 54)
    for index in range(count):
        yield struct.unpack_from("<Q16xQ", content, offset + index * size + 8)
    yield 0, offset + size * count


def lengths(content):
    found = set(range(0, 66, 3))
    for offset, size in headers(content):
        for edge in (offset, offset + size // 2, offset + size):
            page = edge & -4096
            found |= {edge - 1, edge, edge + 1, page, page + 4096}
    return sorted(length for length in found if 0 <= length < len(content))


def flipped(rng, content):
    content = bytearray(content)
    if rng.random() < 0.2:
        del content[rng.randrange(len(content)):]
    end = max(len(list(headers(bytes(flipped.whole)))) * 56 + 64, 64)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        if not content:
            break
        # Mostly what the kernel reads.
        limit = len(content) if rng.random() < 0.2 else min(end, len(content))
        place = rng.randrange(limit)
        if rng.random() < 0.7:
            content[place] ^= 1 << rng.randrange(8)
        else:
            content[place] = rng.choice((0, 1, 0x7F, 0x80, 0xFF))
    return bytes(content)


def main():
    if sys.argv[1] == "cut":
        for path in sys.argv[2:]:
            content = open(path, "rb").read()
            for length in lengths(content):
                print(path, length, outcome(content[:length]))
    else:
        seed, count = int(sys.argv[2]), int(sys.argv[3])
        programs = [open(path, "rb").read() for path in sys.argv[4:]]
        rng = random.Random(seed)
        tally = collections.Counter()
        for index in range(count):
            flipped.whole = programs[index % len(programs)]
            tally[outcome(flipped(rng, flipped.whole))] += 1
        for what, times in sorted(tally.items()):
            print(what.split()[0], times, what)
    print("done")


main()
