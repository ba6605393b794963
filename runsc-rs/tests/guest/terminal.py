"""Runs a command on a terminal of its own, and plays the person before it.

    terminal.py STEP... -- COMMAND...

Steps: `wait TEXT` until the command has written it, `type TEXT`, `size ROWS COLUMNS`, `hangup`. Then
waits for the end and prints what was written, how the command ended (128+N for a signal), whether
the terminal's settings are what they were, and how many processes are left.
"""
import errno, fcntl, os, pty, select, signal, struct, sys, termios

split = sys.argv.index("--")
steps, command = sys.argv[1:split], sys.argv[split + 1:]


written = b""


def too_long(*_):
    print(written.decode().replace("\r", ""))
    sys.exit("it hangs; of the steps, the last was: %s" % step)


signal.signal(signal.SIGALRM, too_long)
signal.alarm(90)
master, slave = pty.openpty()
settings = termios.tcgetattr(slave)
child = os.fork()
if child == 0:
    os.setsid()
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    for fd in range(3):
        os.dup2(slave, fd)
    os.closerange(3, 64)
    try:
        os.execvp(command[0], command)
    except OSError as error:
        print(error)
    os._exit(127)
pidfd = os.pidfd_open(child)

def take():
    """Waits for something to read, and reads it."""
    global written
    written += os.read(master, 4096)


def stat(pid):
    """State, parent and start time."""
    with open("/proc/%s/stat" % pid) as file:
        fields = file.read().rsplit(") ", 1)[1].split()
    return fields[0], int(fields[1]), fields[19]


def processes():
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            found[int(pid)] = stat(pid)
        except OSError:
            pass
    return found


def beneath(parent):
    everybody = processes()
    found, parents = {}, [parent]
    while parents:
        parent = parents.pop()
        for pid, (_, its, start) in everybody.items():
            if its == parent:
                found[pid] = start
                parents.append(pid)
    return found


def is_left(pid, start):
    try:
        state, _, now = stat(pid)
    except OSError:
        return False
    return now == start and state != "Z"


started, position, step = {}, 0, ""
for step in steps:
    action, _, argument = step.partition(" ")
    if action == "wait":
        word = argument.encode()
        while word not in written[position:]:
            if master not in select.select([master, pidfd], [], [])[0]:
                sys.exit("it ended before the step: %s\n%s" % (step, written))
            take()
        position = written.index(word, position) + len(word)
        started.update(beneath(child))
    elif action == "type":
        os.write(master, argument.encode().decode("unicode_escape").encode("latin1"))
    elif action == "size":
        rows, columns = argument.split()
        fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", int(rows), int(columns), 0, 0))
    elif action == "hangup":
        os.close(master)
        master = None

ended = select.epoll()
ended.register(pidfd, select.EPOLLIN)
if master is not None:
    ended.register(master, select.EPOLLIN)
while True:
    ready = [fd for fd, _ in ended.poll()]
    if master in ready:
        take()
    elif pidfd in ready:
        break
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
kept = master is None or termios.tcgetattr(slave) == settings
os.close(slave)
try:
    # What was written last may still be on its way. EIO is the end.
    while master is not None:
        take()
except OSError as error:
    assert error.errno == errno.EIO
while any(is_left(*process) for process in started.items()):
    # What is not the command's own child any more is init's to reap; the alarm ends the wait.
    os.sched_yield()
print(written.decode().replace("\r", ""))
print("ended", status if status >= 0 else 128 - status)
print("settings", "kept" if kept else "changed")
print("nothing left")
