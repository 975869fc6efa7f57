// What `pan agent` does before all else, apart from the agent so that little has to be loaded twice (docs/adr/0017).
export { startWithFewerRights } from "#driver/host/rights.ts";
