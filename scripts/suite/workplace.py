"""A private copy of the suite's tree in which one unit runs."""
import pathlib
import shutil
import tempfile

from suite import process, source

TOOLS = ("redis-cli", "redis-benchmark", "redis-check-aof", "redis-check-rdb")

# What is changed in the copy, (file, before, after): the machinery. What tests expect is changed by `record.Answers` only.
EDITS = (
    # Lines are seen even when the run is cut short.
    ("tests/test_helper.tcl", "set tcl_precision 17\n", "set tcl_precision 17\nfconfigure stdout -buffering line\n"),
    # A failure outside of any test is one failure and ends its block, not the unit; a failure of a block inside a test
    # is the failure of that test.
    (
        "tests/support/server.tcl",
        "            if {!$assertion && $::durable} {\n"
        "                # durable is meant",
        '            if {$::durable && $::cur_test eq ""} {\n'
        "                set ::tags [lrange $::tags 0 end-[llength $tags]]\n"
        "                # durable is meant",
    ),
    (
        "tests/support/server.tcl",
        "                send_data_packet $::test_server_fd err [join $details \"\\n\"]\n"
        "            } else {\n"
        "                # Re-raise, let handler up the stack take care of this.\n"
        "                error $error $backtrace",
        "                send_data_packet $::test_server_fd err [join $details \"\\n\"]\n"
        "                return\n"
        "            } else {\n"
        "                # Re-raise, let handler up the stack take care of this.\n"
        "                error $error $backtrace",
    ),
    # Since 7.2 small lists and small sets are listpacks; nothing else about these tests has changed.
    (
        "tests/support/test.tcl",
        "    set val [r object encoding $key]\n    assert_match $enc $val\n",
        "    set val [r object encoding $key]\n"
        '    if {$val eq "listpack"} {\n'
        '        switch [r type $key] {list {set val "quicklist"} set {set val "hashtable"}}\n'
        "    }\n"
        "    assert_match $enc $val\n",
    ),
    # A server that a test starts and that does not come up is the failure of the test.
    (
        "tests/support/server.tcl",
        "    send_data_packet $::test_server_fd err $err\n}\n\nproc check_valgrind_errors",
        "    send_data_packet $::test_server_fd err $err\n"
        '    if {$::cur_test ne ""} {error "assertion:a server did not start"}\n'
        "}\n\nproc check_valgrind_errors",
    ),
    # An error that is no assertion is told whole.
    (
        "tests/support/test.tcl",
        "            set msg [string range $error 10 end]\n",
        "            set msg [expr {$assertion ? [string range $error 10 end] : $error}]\n",
    ),
    # A server that ended at its start is not waited for.
    (
        "tests/support/server.tcl",
        "        after $checkperiod\n        incr maxiter -1\n",
        "        after $checkperiod\n        incr maxiter -1\n"
        "        if {$maxiter > 3 && [catch {exec kill -0 $pid}]} {set maxiter 3}\n",
    ),
)


class Workplace:
    """The copy, as a context: gone at the end unless it is kept."""

    def __init__(self, tree, server, port, answers, keep=False):
        # A short name: tests put unix sockets below it, and those may have 107 bytes.
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="cf"))
        self.port = port
        self.keep = keep
        self.fill(tree, server, answers)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if not self.keep:
            shutil.rmtree(self.folder, ignore_errors=True)

    def fill(self, tree, server, answers):
        """Copies the tree, links the programs and changes what has to be; `answers`: also (file, before, after), at each place that reads so."""
        for file in tree.iterdir():
            if file.name.startswith("runtest") or file.suffix == ".conf":
                shutil.copy2(file, self.folder)
        for part in ("tests", "utils"):
            shutil.copytree(tree / part, self.folder / part, symlinks=True)
        programs = self.folder / "src"
        programs.mkdir()
        for tool in TOOLS:
            (programs / tool).symlink_to(f"/usr/bin/{tool}")
        (programs / "redis-server").symlink_to(server)
        # The sentinels are the reference's own: they watch the server under test.
        (programs / "redis-sentinel").symlink_to(source.REFERENCE)
        for part in ("tmp", "cluster/tmp", "sentinel/tmp"):
            (self.folder / "tests" / part).mkdir(exist_ok=True)
        self.answer_hostname()
        for file, before, after in EDITS:
            self.edit(file, before, after)
        for file, before, after in answers:
            self.edit(file, before, after, everywhere=True)
        instances = "tests/instances.tcl"
        self.edit(instances, "set ::sentinel_base_port 20000", f"set ::sentinel_base_port {self.port}")
        self.edit(instances, "set ::redis_base_port 30000", f"set ::redis_base_port {self.port + 200}")

    def answer_hostname(self):
        """Tests ask `hostname -I` for an address that is not a loopback one."""
        shim = self.folder / "shim" / "hostname"
        shim.parent.mkdir()
        shim.write_text(f'#!/bin/sh\n[ "$1" = -I ] && echo {process.OUTER_ADDRESS} || uname -n\n')
        shim.chmod(0o755)

    def edit(self, file, before, after, everywhere=False):
        """Replaces the one place that reads `before`, or all places."""
        path = self.folder / file
        text = path.read_text(encoding="latin-1")
        count = text.count(before)
        if count == 0 or count > 1 and not everywhere:
            raise source.Unavailable(f"{file} has {count} places like {before[:60]!r}, expected {'some' if everywhere else 'one'}")
        path.write_text(text.replace(before, after), encoding="latin-1")
