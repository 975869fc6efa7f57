// Where each operation is found. Apart from the shapes, so that the command line, which only calls, starts
// without loading a schema library.

/** Where the agent listens unless it is told otherwise. */
export const DEFAULT_SOCKET = "/run/panoply/agent.sock";

export interface Address {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** `:name` stands for a parameter. */
  readonly path: string;
}

/** Not an operation of the contract: its answer does not end (event-stream.ts). */
export const FOLLOW_EVENTS = "/v1/events/follow";

export const ROUTES = {
  status: { method: "GET", path: "/v1/status" },
  applications: { method: "GET", path: "/v1/applications" },
  peers: { method: "GET", path: "/v1/peers" },
  doctor: { method: "GET", path: "/v1/doctor" },
  services: { method: "GET", path: "/v1/services" },
  addService: { method: "POST", path: "/v1/services" },
  removeService: { method: "DELETE", path: "/v1/services" },
  setWeight: { method: "PATCH", path: "/v1/groups/:group/nodes/:node" },
  drain: { method: "POST", path: "/v1/nodes/:node/drain" },
  drainWithin: { method: "PUT", path: "/v1/nodes/:node/drain" },
  undrain: { method: "POST", path: "/v1/nodes/:node/undrain" },
  setMaintenance: { method: "PUT", path: "/v1/nodes/:node/maintenance" },
  setDelivery: { method: "PUT", path: "/v1/delivery" },
  moveVip: { method: "PUT", path: "/v1/vips/:vip" },
  releaseVip: { method: "DELETE", path: "/v1/vips/:vip" },
  events: { method: "GET", path: "/v1/events" },
  config: { method: "GET", path: "/v1/config" },
  putConfig: { method: "PUT", path: "/v1/config" },
  version: { method: "GET", path: "/v1/version" },
} as const satisfies Record<string, Address>;
