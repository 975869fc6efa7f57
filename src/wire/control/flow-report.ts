// What a member tells its master about connections (B4, docs/adr/0016): those that it has in slots of other owners, to be pinned to it,
// and those that are pinned to it and have ended. Little-endian:
//
//   u8  version, 1
//   u32 epoch, u32 counter, u16 master     of the tables by which the member went
//   u32 established flows, and each (flow-key.ts)
//   u32 ended flows, and each
//
// What does not fit is left out: it is reported at the next look.
import { MAX_NODE_ID, type NodeId, type TableVersion } from "#base/ids.ts";
import { ByteReader, ByteWriter } from "../byte-cursor.ts";
import { LONGEST_FLOW_KEY, readFlow, writeFlow, type FlowKey } from "../flow-key.ts";

export interface FlowReport {
  /** By which tables the member went when it looked. */
  readonly tables: TableVersion;
  readonly established: readonly FlowKey[];
  readonly ended: readonly FlowKey[];
}

export const FLOW_REPORT_VERSION = 1;
/** Of each kind. */
export const MAX_REPORTED_FLOWS = 16_384;
const HEADER = 11;
const COUNT = 4;
export const MAX_FLOW_REPORT = HEADER + 2 * (COUNT + MAX_REPORTED_FLOWS * LONGEST_FLOW_KEY);

/** As much of it as one message has room for. */
export const boundedFlowReport = ({ tables, established, ended }: FlowReport): FlowReport => ({
  tables,
  established: established.slice(0, MAX_REPORTED_FLOWS),
  ended: ended.slice(0, MAX_REPORTED_FLOWS),
});

function writeFlows(writer: ByteWriter, flows: readonly FlowKey[]): void {
  writer.u32(flows.length);
  for (const flow of flows) writeFlow(writer, flow);
}

export function encodeFlowReport({ tables, established, ended }: FlowReport): Uint8Array {
  const writer = new ByteWriter();
  writer.u8(FLOW_REPORT_VERSION);
  writer.u32(tables.epoch);
  writer.u32(tables.counter);
  writer.u16(tables.master);
  writeFlows(writer, established);
  writeFlows(writer, ended);
  return writer.written().slice();
}

function readFlows(reader: ByteReader): FlowKey[] | undefined {
  const count = reader.u32();
  if (reader.short || count > MAX_REPORTED_FLOWS) return undefined;
  const flows: FlowKey[] = [];
  while (flows.length < count) {
    const flow = readFlow(reader);
    if (flow === undefined) return undefined;
    flows.push(flow);
  }
  return flows;
}

/** Undefined when the bytes are not the encoding of a report. */
export function decodeFlowReport(bytes: Uint8Array): FlowReport | undefined {
  const reader = new ByteReader(bytes);
  if (reader.u8() !== FLOW_REPORT_VERSION) return undefined;
  const tables = { epoch: reader.u32(), counter: reader.u32(), master: reader.u16() as NodeId };
  if (reader.short || tables.master > MAX_NODE_ID) return undefined;
  const established = readFlows(reader);
  const ended = established === undefined ? undefined : readFlows(reader);
  if (established === undefined || ended === undefined || reader.remaining > 0) return undefined;
  return { tables, established, ended };
}
