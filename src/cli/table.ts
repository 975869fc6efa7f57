// Text tables for terminals: columns as wide as their widest cell, numbers to the right.
import { stripVTControlCharacters } from "node:util";

export interface Column {
  readonly title: string;
  readonly align?: "left" | "right";
}

const GAP = "  ";
const INDENT = "  ";

const widthOf = (cell: string): number => stripVTControlCharacters(cell).length;

function pad(cell: string, width: number, align: Column["align"]): string {
  const space = " ".repeat(width - widthOf(cell));
  return align === "right" ? space + cell : cell + space;
}

/** Lines of the table, the titles first. Cells may contain colours, not line breaks. */
export function formatTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  heading: (title: string) => string = (title) => title,
): string[] {
  const widths = columns.map(({ title }, index) =>
    Math.max(title.length, ...rows.map((row) => widthOf(row[index] ?? ""))),
  );
  const line = (cells: readonly string[]): string =>
    INDENT +
    columns
      .map(({ align }, index) => pad(cells[index] ?? "", widths[index] ?? 0, align))
      .join(GAP)
      .trimEnd();
  return [line(columns.map(({ title }) => heading(title))), ...rows.map(line)];
}
