// Fields that several sections of the schema have.
import { Type } from "typebox";

export const closed = { additionalProperties: false } as const;
/** One label of a host name (RFC 1123), lower case: it becomes the certificate's common name. */
const label = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$";
const labelHint = "1 to 63 lower-case letters, digits and inner hyphens";

export const Name = (description: string) =>
  Type.String({ pattern: label, hint: labelHint, description });
export const Address = (description: string) => Type.String({ format: "ip", description });
export const Mac = (description: string) =>
  Type.String({
    pattern: "^([0-9a-f]{2}:){5}[0-9a-f]{2}$",
    hint: "six lower-case hex bytes such as 02:00:5e:00:00:01",
    description,
  });
