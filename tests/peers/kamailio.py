"""kamailio as the PBX in front of us: registrar with passwords, and dispatcher."""

import socket
from collections.abc import Sequence
from pathlib import Path

from tests.peers.processes import Process, free_port, need, wait_for

REALM, PASSWORD = "pbx.example", "s3cret"
_ROOT = Path("/usr/lib")
_CONFIG = """\
#!KAMAILIO
debug=2
log_stderror=yes
children=1
auto_aliases=no
disable_tcp=yes
listen=udp:127.0.0.1:{port}
mpath="{modules}/"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "auth.so"
loadmodule "xlog.so"
loadmodule "dispatcher.so"
modparam("registrar", "min_expires", 1)
modparam("dispatcher", "list_file", "{folder}/dispatcher.list")

request_route {{
  if (!mf_process_maxfwd_header("10")) {{ sl_send_reply("483", "Too Many Hops"); exit; }}
  if (has_totag()) {{
    if (loose_route()) {{ t_relay(); exit; }}
    if (is_method("ACK")) {{ if (t_check_trans()) {{ t_relay(); }} exit; }}
    sl_send_reply("404", "Not Here"); exit;
  }}
  if (is_method("CANCEL")) {{ if (t_check_trans()) {{ t_relay(); }} exit; }}
  t_check_trans();
  if (is_method("REGISTER")) {{
    if (!pv_www_authenticate("{realm}", "{password}", "0")) {{
      www_challenge("{realm}", "1"); exit;
    }}
    xlog("L_WARN", "REGISTERED $tU for $hdr(Expires)\\n");
    save("location"); exit;
  }}
  record_route();
  if ($rU == "pool") {{
    if (!ds_select_dst("1", "4")) {{ sl_send_reply("503", "No Destination"); exit; }}
    t_on_failure("NEXT"); t_relay(); exit;
  }}
  if (!lookup("location")) {{ sl_send_reply("404", "Not Found"); exit; }}
  t_relay();
}}

failure_route[NEXT] {{
  if (t_is_canceled()) {{ exit; }}
  if (t_check_status("503") || (t_branch_timeout() && !t_branch_replied())) {{
    if (ds_next_dst()) {{ t_on_failure("NEXT"); t_relay(); exit; }}
  }}
}}
"""


class Kamailio:
    """One kamailio.

    Args:
        folder: For its files.
        pool: Ports among which calls to ``pool`` are dealt out, in turn.
    """

    def __init__(self, folder: Path, pool: Sequence[int] = ()) -> None:
        need("kamailio")
        self.folder = folder / "kamailio"
        self.folder.mkdir(parents=True)
        self.port = free_port()
        modules = next(_ROOT.glob("**/kamailio/modules"))
        config = self.folder / "kamailio.cfg"
        config.write_text(
            _CONFIG.format(
                port=self.port, folder=self.folder, modules=modules, realm=REALM, password=PASSWORD
            )
        )
        lines = "".join(f"1 sip:127.0.0.1:{port}\n" for port in pool) or "1 sip:127.0.0.1:9\n"
        (self.folder / "dispatcher.list").write_text(lines)
        self.process = Process(
            "kamailio",
            ["kamailio", "-f", str(config), "-DD", "-E", "-m", "64", "-M", "8",
             "-Y", str(self.folder), "-P", f"{self.folder}/kamailio.pid",
             "-w", str(self.folder)],
            self.folder,
        )  # fmt: skip
        try:
            wait_for(self._answers, "kamailio to start", 10.0)
        except AssertionError:
            self.process.close()
            raise

    def _answers(self) -> bool:
        """Whether it answers OPTIONS, whatever it says."""
        assert self.process.running, self.process.output()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind(("127.0.0.1", 0))
            sock.settimeout(0.2)
            place = f"127.0.0.1:{sock.getsockname()[1]}"
            request = (
                f"OPTIONS sip:nobody@127.0.0.1:{self.port} SIP/2.0\r\n"
                f"Via: SIP/2.0/UDP {place};branch=z9hG4bK1\r\nFrom: <sip:a@{place}>;tag=1\r\n"
                f"To: <sip:nobody@127.0.0.1>\r\nCall-ID: ping@{place}\r\nCSeq: 1 OPTIONS\r\n"
                "Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
            )
            sock.sendto(request.encode(), ("127.0.0.1", self.port))
            try:
                return bool(sock.recv(4096))
            except OSError:
                return False

    def close(self) -> None:
        """End it and its children."""
        self.process.close()
