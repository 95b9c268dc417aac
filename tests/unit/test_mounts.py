"""Where an NFS is mounted, read from mountinfo texts as kernels write them."""

from __future__ import annotations

import pytest

from registry_tui.platform.mounts import MOUNTINFO, Mounts, has_climbing_part

#: A server with systemd, an automounter, a container runtime and several NFS.
HOST = r"""
22 28 0:21 / /proc rw,nosuid,nodev,noexec,relatime shared:13 - proc proc rw
23 28 0:22 / /sys rw,nosuid,nodev,noexec,relatime shared:7 - sysfs sysfs rw
28 1 259:2 / / rw,relatime shared:1 - ext4 /dev/nvme0n1p2 rw,errors=remount-ro
31 22 0:27 / /proc/sys/fs/binfmt_misc rw,relatime shared:14 - autofs systemd-1 rw,fd=29,pgrp=1,timeout=0,minproto=5
90 28 0:46 / /mnt/models rw,relatime shared:46 - nfs4 10.0.0.4:/exports/models rw,vers=4.1,rsize=1048576,wsize=1048576,namlen=255,hard,proto=tcp,timeo=600,retrans=2,sec=sys,clientaddr=10.0.0.9,local_lock=none,addr=10.0.0.4
91 28 0:47 / /mnt/old rw,relatime shared:47 - nfs nfs.example.net:/exports/old rw,vers=3,rsize=65536,wsize=65536,namlen=255,hard,proto=tcp,timeo=600,retrans=2,sec=sys,mountaddr=10.0.0.5,mountvers=3,mountport=20048,mountproto=udp,local_lock=none,addr=10.0.0.5
92 28 0:48 / /mnt/wide rw,relatime - nfs4 10.0.0.6:/ rw,vers=4.2,addr=10.0.0.6
93 28 0:49 / /mnt/ancient rw,relatime - nfs4 10.0.0.7:/x rw,vers=4,minorversion=1,addr=10.0.0.7
94 28 0:50 / /mnt/plain rw,relatime - nfs4 10.0.0.8:/x rw,vers=4.0,addr=10.0.0.8
95 28 0:51 / /mnt/with\040space\011and\134backslash rw,relatime - nfs4 10.0.0.4:/exports/two\040words rw,vers=4.1,addr=10.0.0.4
96 28 0:52 / /mnt/six rw,relatime - nfs4 [2001:db8::4]:/exports rw,vers=4.1,addr=2001:db8::4
97 28 0:53 / /mnt/bare rw,relatime - nfs4 fd00::0007:/exports rw,vers=4.1,addr=fd00::7
98 28 0:54 / /mnt/ro ro,relatime - nfs4 10.0.0.9:/ro rw,vers=4.1,addr=10.0.0.9
99 28 0:55 / /net rw,relatime - autofs /etc/auto.net rw,fd=6,pgrp=900,timeout=300,minproto=5,maxproto=5,indirect
100 99 0:56 / /net/files/models rw,relatime - nfs4 files:/models rw,vers=4.1,addr=10.0.0.10
101 28 0:57 / /srv/direct rw,relatime - autofs /etc/auto.direct rw,fd=7,pgrp=900,timeout=300,minproto=5,maxproto=5,direct
102 101 0:58 / /srv/direct rw,relatime - nfs4 files:/direct rw,vers=4.1,addr=10.0.0.10
103 28 0:59 / /mnt/covered rw,relatime - nfs4 10.0.0.11:/covered rw,vers=4.1,addr=10.0.0.11
104 103 0:60 / /mnt/covered rw,relatime - tmpfs tmpfs rw
105 28 0:61 / /mnt/twice rw,relatime - nfs4 10.0.0.12:/first rw,vers=4.1,addr=10.0.0.12
106 105 0:62 / /mnt/twice rw,relatime - nfs4 10.0.0.12:/second rw,vers=4.1,addr=10.0.0.12
107 28 0:63 / /data/deep/nfs rw,relatime - nfs4 10.0.0.13:/deep rw,vers=4.1,addr=10.0.0.13
108 28 0:64 / /data rw,relatime - tmpfs tmpfs rw
109 28 0:46 / /srv/bound rw,relatime - nfs4 10.0.0.4:/exports/models/team rw,vers=4.1,addr=10.0.0.4
110 28 0:65 /team /srv/rooted rw,relatime master:2 propagate_from:1 - nfs4 10.0.0.14:/exports rw,vers=4.1,addr=10.0.0.14
111 90 0:66 / /mnt/models/scratch rw,relatime - tmpfs tmpfs rw
112 28 259:3 /nfs /mnt/looks-like rw,relatime - ext4 10.0.0.15:/exports rw
113 28 0:70 / /mnt/fuse rw,relatime - fuse.nfs 10.0.0.16:/exports rw,vers=4.1
114 28 0:71 / /mnt/named rw,relatime - nfs4 NFS.Example.COM.:/a rw,vers=4.1,addr=10.0.0.20
"""  # noqa: E501
MOUNTS = Mounts.parse(HOST)


@pytest.mark.parametrize(
    ("source", "folder", "version"),
    [
        ("10.0.0.4:/exports/models", "/mnt/models", "4.1"),
        ("10.0.0.4:/exports/models/", "/mnt/models", "4.1"),
        ("10.0.0.4://exports//models", "/mnt/models", "4.1"),
        ("nfs.example.net:/exports/old", "/mnt/old", "3"),
        ("NFS.EXAMPLE.NET:/exports/old", "/mnt/old", "3"),
        ("nfs.example.com:/a", "/mnt/named", "4.1"),
        # By the address of a server that was mounted by its name.
        ("10.0.0.5:/exports/old", "/mnt/old", "3"),
        # Parts of larger exports.
        ("10.0.0.4:/exports/models/wine/red", "/mnt/models/wine/red", "4.1"),
        ("10.0.0.6:/exports/a", "/mnt/wide/exports/a", "4.2"),
        ("10.0.0.6:/", "/mnt/wide", "4.2"),
        ("10.0.0.7:/x", "/mnt/ancient", "4.1"),
        ("10.0.0.8:/x", "/mnt/plain", "4.0"),
        ("10.0.0.4:/exports/two words", "/mnt/with space\tand\\backslash", "4.1"),
        ("[2001:DB8:0::4]:/exports", "/mnt/six", "4.1"),
        ("[fd00::7]:/exports", "/mnt/bare", "4.1"),
        ("files:/models", "/net/files/models", "4.1"),
        ("files:/direct", "/srv/direct", "4.1"),
        ("10.0.0.12:/second", "/mnt/twice", "4.1"),
        # Bind mounts: the kernel's NFS names the folder in the source, others as the root.
        ("10.0.0.4:/exports/models/team", "/srv/bound", "4.1"),
        ("10.0.0.14:/exports/team", "/srv/rooted", "4.1"),
        ("10.0.0.14:/exports/team/a", "/srv/rooted/a", "4.1"),
    ],
)
def test_an_nfs_is_found_where_it_can_be_reached(source: str, folder: str, version: str) -> None:
    found = MOUNTS.find_nfs(source)[0]
    assert (found.folder, found.mount.nfs_version) == (folder, version)


@pytest.mark.parametrize(
    "source",
    [
        "10.0.0.4:/exports",  # only a folder of it is mounted
        "10.0.0.4:/exports/models2",
        "10.0.0.5:/exports/models",
        "10.0.0.11:/covered",  # something else is mounted over it
        "10.0.0.12:/first",
        "10.0.0.13:/deep",  # below a folder that is covered
        "10.0.0.14:/exports",
        "10.0.0.4:/exports/models/scratch/a",  # a part that is covered
        "10.0.0.15:/exports",  # another file system with such a source
        "10.0.0.16:/exports",
        "10.0.0.4:/exports/old/../models",
        "10.0.0.4:/exports/./models",
        "files:/not-there-yet",  # an automounter has not mounted it
        "no source",
        "",
        ":/exports/models",
    ],
)
def test_an_nfs_that_cannot_be_reached_is_not_found(source: str) -> None:
    assert MOUNTS.find_nfs(source) == []


def test_a_mount_below_another_one_is_known_as_hidden() -> None:
    assert MOUNTS.hidden("10.0.0.11:/covered") == "/mnt/covered"
    assert MOUNTS.hidden("10.0.0.13:/deep") == "/data/deep/nfs"
    assert MOUNTS.hidden("10.0.0.4:/exports/models") is None
    assert MOUNTS.hidden("nowhere:/x") is None


def test_a_mount_that_was_made_read_only_says_so() -> None:
    (found,) = MOUNTS.find_nfs("10.0.0.9:/ro")
    assert found.mount.read_only
    assert not MOUNTS.find_nfs("10.0.0.4:/exports/models")[0].mount.read_only


def test_the_closest_of_several_mounts_comes_first() -> None:
    text = """
1 0 8:1 / / rw - ext4 /dev/sda1 rw
2 1 0:1 / /mnt/all rw - nfs4 h:/ rw,vers=4.1
3 1 0:1 / /mnt/models rw - nfs4 h:/exports/models rw,vers=4.1
4 1 0:1 / /mnt/again rw - nfs4 h:/exports/models rw,vers=4.1
"""
    folders = [each.folder for each in Mounts.parse(text).find_nfs("h:/exports/models")]
    assert folders == ["/mnt/models", "/mnt/again", "/mnt/all/exports/models"]


def test_a_container_whose_root_has_a_parent_elsewhere_finds_its_mounts() -> None:
    text = """
700 600 0:90 / / rw,relatime - overlay overlay rw,lowerdir=/l,upperdir=/u,workdir=/w
701 700 0:91 / /models rw,relatime - nfs4 h:/exports rw,vers=4.1
"""
    assert [each.folder for each in Mounts.parse(text).find_nfs("h:/exports/a")] == ["/models/a"]


def test_lines_that_no_kernel_writes_are_left_out() -> None:
    text = "\n".join(
        ["", "x", "1 2 3", "a b 0:1 / / rw - ext4 s rw", "1 0 8:1 / / rw ext4 s rw", "1 0 8:1 / / rw - ext4"]
    )
    assert Mounts.parse(text).at("/") is None


def test_a_path_that_climbs_is_known() -> None:
    assert has_climbing_part("h:/a/../b") and has_climbing_part("h:/.") and not has_climbing_part("h:/a..b/.c")


def test_the_mounts_of_this_machine_can_be_read() -> None:
    mounts = Mounts.parse(MOUNTINFO.read_text(errors="surrogateescape"))
    there = mounts.at("/proc/self")
    assert there is not None and there.type == "proc"
