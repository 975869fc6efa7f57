// What a main thread that was busy finds waiting from the heart. It happened in that order, but some of it is over: a mastership that was won
// and lost meanwhile. Acted upon, its view would put tables into force that the cluster has left behind, and announce VIPs
// that another node answers for by now (A3, A5, docs/adr/0026).
import type { View } from "#core/membership/types.ts";

interface News {
  readonly type: string;
  readonly view?: View;
}

/** The node was in no cluster: it came into one anew, if at all. */
const isOutside = ({ view }: News): boolean =>
  view?.role === "joining" || view?.role === "offering";

/** Without views, and wishes to announce, from before this node was last outside any cluster. Everything else stays, in order. */
export function upToDate<Event extends News>(events: readonly Event[]): Event[] {
  const outside = events.findLastIndex(isOutside);
  return events.filter(
    ({ type }, at) => at >= outside || (type !== "view-changed" && type !== "announce-wanted"),
  );
}
