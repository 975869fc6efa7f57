// Every error an operator can meet, by code. docs/reference/errors.md is held to this list by a test.
// Match on codes, never on message text.

export const ERROR_CODES = {
  PAN_CONFIG_INVALID: "The cluster configuration does not follow the schema.",
  PAN_CONFIG_UNREADABLE: "The cluster configuration cannot be read.",
  PAN_BUNDLE_SIGNATURE: "The node bundle was not signed by this cluster's CA, or was changed.",
  PAN_BUNDLE_FOREIGN: "The node bundle belongs to another CA than the configured one.",
  PAN_BUNDLE_EXPIRED: "The node's certificate has expired.",
  PAN_BUNDLE_NOT_YET_VALID: "The node's certificate is not yet valid.",
  PAN_BUNDLE_REVOKED: "The node's certificate is on the revocation list.",
  PAN_BUNDLE_PERMISSIONS: "Others than its owner can read the node bundle or the CA's key.",
  PAN_BUNDLE_UNREADABLE: "The node bundle cannot be read.",
  PAN_BUNDLE_EXISTS: "A file already stands where the node bundle would be written.",
  PAN_CA_EXISTS: "A CA already exists in this folder.",
  PAN_CA_UNREADABLE: "There is no usable CA in this folder.",
  PAN_NODE_REMOVED: "The cluster's configuration does not name this node any more.",
  PAN_NODE_EXISTS: "A node of this name or address already exists.",
  PAN_NOT_ROOT: "Root is needed for what was asked.",
  PAN_KERNEL_TOO_OLD: "The kernel is older than the oldest one supported.",
  PAN_NO_LIBBPF: "The library libbpf.so.1 cannot be loaded.",
  PAN_NO_BPF: "The kernel refused to load or attach a packet program.",
  PAN_TABLES_CAPACITY: "The tables are larger than the packet program was loaded for.",
  PAN_TABLES_OLD: "The kernel holds tables of a later version than the ones to be published.",
  PAN_AGENT_RUNNING: "Another agent already runs on this host.",
  PAN_AGENT_UNREACHABLE: "No agent answers on the socket.",
  PAN_REQUEST_INVALID: "A command or API request is not of the form that is expected.",
  PAN_INTERNAL: "The agent met a fault of its own; its log has the details.",
  PAN_ADDRESS_IN_USE: "Another machine uses this node's address.",
  PAN_ADDRESS_MISSING: "This node's address is not configured on its network interface.",
  PAN_HOST_SETTING: "A kernel setting of this host prevents what the cluster needs.",
  PAN_INTERFACE_DOWN: "A network interface that the cluster needs is down.",
  PAN_INTERFACE_MISSING: "The configured network interface does not exist.",
  PAN_NETLINK: "The kernel refused a change of addresses, links or routes.",
  PAN_STATE_UNREADABLE: "A file in the state folder cannot be read or was changed.",
  PAN_SYSCALL: "A system call failed.",
  PAN_NOT_MASTER: "This change must be made at the master, and none is known.",
  PAN_NOT_FOUND: "What the command names does not exist.",
  PAN_CONFLICT: "The change contradicts the present configuration.",
  PAN_TOO_MANY_FOLLOWERS: "As many clients as are allowed follow this node's events already.",
  PAN_IMPORT_INVALID: "What is to be imported cannot be read, or asks for what no cluster can be.",
  PAN_LAB_EXISTS: "A lab of this name is already up.",
  PAN_LAB_MISSING: "No lab of this name is up.",
  PAN_LAB_FAILED: "A step of the lab failed; the message names it.",
  PAN_LAB_FAULT: "The lab cannot make this fault.",
  PAN_LAB_TOPOLOGY: "The topology file does not follow its schema.",
} as const;

export type ErrorCode = keyof typeof ERROR_CODES;

/** An error that an operator can do something about. The message says what, in one sentence or two. */
export class PanError extends Error {
  override readonly name = "PanError";
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}
