"""FreeSWITCH: its event socket."""
