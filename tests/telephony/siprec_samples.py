"""Recording metadata as real clients write it, with other names and numbers."""

RFC7865 = b"""<?xml version="1.0" encoding="UTF-8"?>
<recording xmlns='urn:ietf:params:xml:ns:recording:1'>
  <datamode>complete</datamode>
  <group group_id="7+OTCyoxTmqmqyA/1weDAg==">
    <associate-time>2010-12-16T23:41:07Z</associate-time>
    <call-center xmlns='urn:ietf:params:xml:ns:callcenter'><supervisor>sip:x@y</supervisor>
    </call-center>
  </group>
  <session session_id="hVpd7YQgRW2nD22h7q60JQ==">
    <sipSessionID>ab30317f1a784dc48ff824d0d3715d86;remote=47755a9de7794ba387653f2099600ef2
    </sipSessionID>
    <group-ref>7+OTCyoxTmqmqyA/1weDAg==</group-ref>
  </session>
  <participant participant_id="srfBElmCRp2QB23b7Mpk0w==">
    <nameID aor="sip:alice@atlanta.com"><name xml:lang="en">Alice</name></nameID>
  </participant>
  <participant participant_id="zSfPoSvdSDCmU3A3TRDxAw==">
    <nameID aor="sip:bob@biloxi.com"><name xml:lang="it">Bob</name></nameID>
  </participant>
  <stream stream_id="UAAMm5GRQKSCMVvLyl4rFw==" session_id="hVpd7YQgRW2nD22h7q60JQ==">
    <label>96</label>
  </stream>
  <stream stream_id="i1Pz3to5hGk8fuXl+PbwCw==" session_id="hVpd7YQgRW2nD22h7q60JQ==">
    <label>97</label>
  </stream>
  <sessionrecordingassoc session_id="hVpd7YQgRW2nD22h7q60JQ==">
    <associate-time>2010-12-16T23:41:07Z</associate-time>
  </sessionrecordingassoc>
  <participantsessionassoc participant_id="srfBElmCRp2QB23b7Mpk0w=="
      session_id="hVpd7YQgRW2nD22h7q60JQ==">
    <associate-time>2010-12-16T23:41:07Z</associate-time>
  </participantsessionassoc>
  <participantstreamassoc participant_id="srfBElmCRp2QB23b7Mpk0w==">
    <send>UAAMm5GRQKSCMVvLyl4rFw==</send><recv>i1Pz3to5hGk8fuXl+PbwCw==</recv>
  </participantstreamassoc>
  <participantstreamassoc participant_id="zSfPoSvdSDCmU3A3TRDxAw==">
    <send>i1Pz3to5hGk8fuXl+PbwCw==</send><recv>UAAMm5GRQKSCMVvLyl4rFw==</recv>
  </participantstreamassoc>
</recording>
"""

ORACLE = b"""
<?xml version='1.0' encoding='UTF-8'?>
<recording xmlns='urn:ietf:params:xml:ns:recording'>
  <datamode>complete</datamode>
  <session id="0rBXFi0CTBB0j8HyGBBrlg==">
    <associate-time>2020-03-27T13:56:05</associate-time>
    <extensiondata xmlns:apkt="http://acmepacket.com/siprec/extensiondata">
      <apkt:ucid>00FA081003B9CF5E7DF7E5;encoding=hex</apkt:ucid>
      <apkt:callerOrig>true</apkt:callerOrig>
    </extensiondata>
  </session>
  <participant id="ARlTfnirTkxisET9jl8njg==" session="0rBXFi0CTBB0j8HyGBBrlg==">
    <nameID aor="sip:31600000002@192.0.2.62"><name>31600000002</name></nameID>
    <send>0CWQGFVzQf5hAGoO9gnx8g==</send>
    <extensiondata xmlns:apkt="http://acmepacket.com/siprec/extensiondata">
      <apkt:callingParty>true</apkt:callingParty>
      <apkt:header label="Call-ID"><value>134485702@192.0.2.62</value></apkt:header>
    </extensiondata>
  </participant>
  <participant id="L1OKBsjoTO11Pn5uow6ptQ==" session="0rBXFi0CTBB0j8HyGBBrlg==">
    <nameID aor="sip:33100000021@sip.example.net"><name>33100000021</name></nameID>
    <send>oOmIeCrQRZ1zaHo/DHE5og==</send>
    <extensiondata xmlns:apkt="http://acmepacket.com/siprec/extensiondata">
      <apkt:callingParty>false</apkt:callingParty>
    </extensiondata>
  </participant>
  <stream id="0CWQGFVzQf5hAGoO9gnx8g==" session="0rBXFi0CTBB0j8HyGBBrlg==">
    <label>201835599</label><mode>separate</mode>
  </stream>
  <stream id="oOmIeCrQRZ1zaHo/DHE5og==" session="0rBXFi0CTBB0j8HyGBBrlg==">
    <label>201835600</label><mode>separate</mode>
  </stream>
</recording>
"""

RIBBON = b"""<?xml version="1.0" encoding="UTF-8"?>
<tns:recording xmlns:tns='urn:ietf:params:xml:ns:recording'>
  <tns:datamode>complete</tns:datamode>
  <tns:group group_id="MTQ3YzA3YzAtNjdkNy0xMA==">
    <callData xmlns='urn:ietf:params:xml:ns:callData'>
      <fromhdr>"Extension 8500" &lt;sip:8500@192.0.2.55&gt;;tag=x</fromhdr>
    </callData>
  </tns:group>
  <tns:session session_id="S"><tns:group-ref>MTQ3YzA3YzAtNjdkNy0xMA==</tns:group-ref></tns:session>
  <tns:participant participant_id="P1">
    <tns:nameID aor="8500@192.0.2.55"><tns:name xml:lang="en">Extension 8500</tns:name></tns:nameID>
  </tns:participant>
  <tns:participant participant_id="P2">
    <tns:nameID aor="8012@192.0.2.72"><tns:name xml:lang="en"> </tns:name></tns:nameID>
  </tns:participant>
  <tns:stream stream_id="A" session_id="S"><tns:label>1</tns:label></tns:stream>
  <tns:stream stream_id="B" session_id="S"><tns:label>2</tns:label></tns:stream>
  <tns:participantstreamassoc participant_id="P1">
    <tns:send>B</tns:send><tns:recv>A</tns:recv>
  </tns:participantstreamassoc>
  <tns:participantstreamassoc participant_id="P2">
    <tns:send>A</tns:send><tns:recv>B</tns:recv>
  </tns:participantstreamassoc>
</tns:recording>
"""


def broadworks(
    *,
    namespace: str = "urn:ietf:params:xml:ns:siprec",
    root: str = "recording_metadata",
    way: str = "origCall",
    user: str = "agent1@as.example.net",
    calling: str = "sip:+12025550101@as.example.net",
    called: str = "sip:7663@as.example.net;user=phone",
    mixed: bool = False,
) -> bytes:
    """BroadWorks: an agent, and a number that the agent talks to."""
    second = "S1" if mixed else "S2"
    mode = "mixed" if mixed else "separate"
    streams = "".join(
        f'<stream id="urn:uuid:{id_}" session="urn:uuid:s"><label>{id_[1]}</label>'
        f"<mode>{mode}</mode></stream>"
        for id_ in dict.fromkeys(("S1", second))
    )
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><{root} xmlns="{namespace}">'
        "<dataMode>complete</dataMode>"
        '<recording id="urn:uuid:r"><requestor>SRC</requestor><type>selective</type></recording>'
        '<group id="urn:uuid:g" recording="urn:uuid:r"><initiator>sip:a</initiator></group>'
        '<session id="urn:uuid:s" group="urn:uuid:g">'
        "<start-time>2017-03-29T13:56:13-04:00</start-time></session>"
        '<participant id="urn:uuid:P1" session="urn:uuid:s"><aor>sip:agent1@as.example.net</aor>'
        "<send><id>urn:uuid:S1</id></send></participant>"
        '<participant id="urn:uuid:P2" session="urn:uuid:s">'
        "<aor>sip:7663@as.example.net;user=phone</aor>"
        f"<send><id>urn:uuid:{second}</id></send></participant>{streams}"
        '<extensiondata id="urn:uuid:e" parent="urn:uuid:s"><broadWorksRecordingMetadata '
        'xmlns="http://schema.broadsoft.com/broadworksCallRecording" version="3.0">'
        f"<extTrackingID>152463:1</extTrackingID><userID>{user}</userID>"
        f"<callID>callhalf-177056759:5</callID><callType><{way}>"
        f"<callingPartyNumber>{calling}</callingPartyNumber>"
        f"<calledPartyNumber>{called}</calledPartyNumber></{way}></callType>"
        "<recordingType>on</recordingType></broadWorksRecordingMetadata></extensiondata>"
        f"</{root}>"
    ).encode()


BROADWORKS = broadworks()
