// Words of keepalived.conf that have no counterpart here: for each, why, and what to do instead.

export interface Reasons {
  readonly words: Readonly<Record<string, string>>;
  /** By how a word begins, where the word itself is not listed. */
  readonly prefixes: readonly (readonly [string, string])[];
}

const NOTIFY =
  "scripts hear of changes as hooks in /etc/panoply/hooks.d, programs over a socket (docs/howto/applications.md)";
const MAIL = "no mail is sent; `pan events --follow`, hooks and metrics tell what happens";
const ELECTION =
  "the members elect their master themselves: more members win, then the lower address (A5)";
const PREEMPTS =
  "a node that returns does not become master again; with the section interfaceNodes it takes its own virtual addresses back at once";
const MEMBERS = "members find each other by `nodes`, with certificates; nothing is to be set";
const ANNOUNCE =
  "how often addresses are announced is built in (50 ms, 200 ms, 1 s, 3 s, then every 30 s)";
const ROUTES = "routes and rules are left to the system; set them up on every node";
const TRACK =
  "an agent gives up by itself when its interface fails; for anything else let a script run `pan drain` and `pan undrain`";
const PROCESS = "how the agent runs is a matter of its systemd unit";
const NOTHING_LOST = "addresses move as soon as the master is gone; there is nothing to wait for";

export const GLOBALS: Reasons = {
  words: {
    router_id: "a node's name is in its certificate",
    notification_email: MAIL,
    notification_email_from: MAIL,
    enable_script_security:
      "scripts in the hooks folder must belong to root and be writable by root only, always",
    script_user: "hooks run as root",
    static_ipaddress: ROUTES,
    lvs_sync_daemon: "no connection state is needed where packets come in, so none is copied",
    lvs_flush: "there is no IPVS; tables are replaced whole",
    lvs_timeouts: "no connection state is kept where packets come in, so nothing times out",
  },
  prefixes: [
    ["smtp_", MAIL],
    ["notify", NOTIFY],
    ["vrrp_garp", ANNOUNCE],
    ["vrrp_gna", ANNOUNCE],
    ["vrrp_", ELECTION],
    ["lvs_", "there is no IPVS; the packet program has its own tables"],
    ["checker_", PROCESS],
    ["bfd_", PROCESS],
    ["dynamic_interfaces", PROCESS],
    ["process_", PROCESS],
    ["snmp", "there is no SNMP; `pan metrics` speaks Prometheus"],
    ["enable_snmp", "there is no SNMP; `pan metrics` speaks Prometheus"],
    ["enable_dbus", "there is no D-Bus; the API is a Unix socket (docs/reference/api.md)"],
    ["net_namespace", "start the agent in its namespace: `ip netns exec NAME pan agent`"],
    ["use_pid_dir", PROCESS],
    ["instance", PROCESS],
    ["default_interface", "write it as cluster.interface"],
  ],
};

export const BLOCKS: Reasons = {
  words: {
    vrrp_sync_group: "all virtual addresses move together, with the master",
    vrrp_script: TRACK,
    vrrp_track_process: TRACK,
    vrrp_track_file: TRACK,
    track_file: TRACK,
    static_ipaddress: ROUTES,
    static_routes: ROUTES,
    static_rules: ROUTES,
    garp_group: ANNOUNCE,
    bfd_instance:
      "members notice each other's death by keepalives, in 200 ms (detection.intervalMs)",
    net_namespace: "start the agent in its namespace: `ip netns exec NAME pan agent`",
    linkbeat_use_polling: "links are watched by the kernel's messages",
    SSL: "checks do not present certificates",
  },
  prefixes: [],
};

export const VRRP: Reasons = {
  words: {
    state: ELECTION,
    priority: ELECTION,
    virtual_router_id: MEMBERS,
    advert_int: "a silent node counts as dead after 200 ms; detection.intervalMs changes that",
    authentication: "messages are signed; every node has a certificate (`pan ca`, `pan node add`)",
    preempt: PREEMPTS,
    preempt_delay: PREEMPTS,
    dont_track_primary: TRACK,
    track_interface: TRACK,
    track_script: TRACK,
    track_process: TRACK,
    track_file: TRACK,
    track_bfd: TRACK,
    track_src_ip: TRACK,
    mcast_src_ip: MEMBERS,
    unicast_src_ip: MEMBERS,
    unicast_peer: MEMBERS,
    unicast_ttl: MEMBERS,
    mcast_dst_ip: MEMBERS,
    version: MEMBERS,
    native_ipv6: MEMBERS,
    accept: "members accept what is sent to a virtual address",
    no_accept: "members accept what is sent to a virtual address; use a firewall on them",
    smtp_alert: MAIL,
    debug: "the agent's log has levels: `pan agent --log-level`",
    lvs_sync_daemon_interface:
      "no connection state is needed where packets come in, so none is copied",
    virtual_routes: ROUTES,
    virtual_rules: ROUTES,
    skip_check_adv_addr: MEMBERS,
    strict_mode: MEMBERS,
    linkbeat_use_polling: "links are watched by the kernel's messages",
    promote_secondaries: ROUTES,
    use_vmac:
      "the interface's own MAC is announced (delivery.method forward), or a cluster MAC (unicast, multicast, igmp)",
    vmac_xmit_base:
      "the interface's own MAC is announced (delivery.method forward), or a cluster MAC (unicast, multicast, igmp)",
    use_ipvlan: "virtual addresses stand on the loopback interface",
    down_timer_adverts: NOTHING_LOST,
    start_delay: NOTHING_LOST,
    kernel_rx_buf_size: PROCESS,
  },
  prefixes: [
    ["garp_", ANNOUNCE],
    ["notify", NOTIFY],
    ["higher_prio", ANNOUNCE],
    ["lower_prio", ANNOUNCE],
    ["vmac_", "the interface's own MAC is announced (delivery.method forward), or a cluster MAC"],
  ],
};

const CHECKED =
  "checks pass or fail with `rise` and `fall`, and a node that fails gets no new connections; there is no such setting";
const QUORUM = "a group has no least number of nodes; its last one serves alone";

export const SERVER: Reasons = {
  words: {
    delay_before_retry: CHECKED,
    warmup: CHECKED,
    alpha: CHECKED,
    omega: CHECKED,
    virtualhost: "write it as `host` of the check",
    ha_suspend: CHECKED,
    inhibit_on_failure: CHECKED,
    log_all_failures: CHECKED,
    quorum: QUORUM,
    quorum_up: QUORUM,
    quorum_down: QUORUM,
    hysteresis: QUORUM,
    ops: "no state is kept for any packet, so there is nothing to leave out",
    ip_family: "the family follows from the address",
    persistence_granularity: "clients are told apart by their whole address",
    persistence_engine: "packets are looked at up to their ports only; clients stay by address",
    sorry_server_inhibit: "the sorry node serves while no other does (whenNone: sorry)",
    sorry_server_lvs_method: "every node is reached in the same way",
    smtp_alert: MAIL,
    no_smtp_alert: MAIL,
    "sh-fallback": "a node that is gone is replaced in the table at once",
    "mh-fallback": "a node that is gone is replaced in the table at once",
    svr_flag: "there is no IPVS; see the policies of a group",
    flag: "there is no IPVS; see the policies of a group",
  },
  prefixes: [
    ["flag-", "there is no IPVS; see the policies of a group"],
    ["snmp", "there is no SNMP; `pan metrics` speaks Prometheus"],
  ],
};

export const REAL: Reasons = {
  words: {
    inhibit_on_failure: CHECKED,
    alpha: CHECKED,
    delay_before_retry: CHECKED,
    warmup: CHECKED,
    log_all_failures: CHECKED,
    virtualhost: "write it as `host` of the check",
    uthreshold: "there is no upper limit of connections for a node; limit them in the server",
    lthreshold: "there is no lower limit of connections for a node; limit them in the server",
    smtp_alert: MAIL,
    no_smtp_alert: MAIL,
  },
  prefixes: [
    ["notify", NOTIFY],
    ["snmp", "there is no SNMP; `pan metrics` speaks Prometheus"],
  ],
};
