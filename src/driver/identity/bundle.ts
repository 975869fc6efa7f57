// The node bundle (A19): one signed file that gives a machine its place in a cluster. Here: its form,
// writing and reading. Whether it may be used is decided in open-bundle.ts.
import { type KeyLike, type KeyObject, sign, verify } from "node:crypto";
import { type Static, Type } from "typebox";
import { Value } from "typebox/value";
import { canonicalJson } from "#base/canonical-json.ts";
import { PanError } from "#base/error-codes.ts";
import { readPrivateFile, writePrivateFile } from "./private-file.ts";

const closed = { additionalProperties: false } as const;

const ContentSchema = Type.Object(
  {
    clusterName: Type.String(),
    caCertificate: Type.String(),
    node: Type.Object(
      { id: Type.Integer(), name: Type.String(), address: Type.String() },
      { ...closed },
    ),
    certificate: Type.String(),
    privateKey: Type.String(),
    vips: Type.Array(Type.String(), { maxItems: 4096 }),
    routes: Type.Array(
      Type.Object({ destination: Type.String(), via: Type.String() }, { ...closed }),
      { maxItems: 1024 },
    ),
    errorLog: Type.String(),
    security: Type.Object(
      {
        revoked: Type.Array(Type.String(), { maxItems: 4096 }),
        minimumTls: Type.Literal("TLSv1.3"),
      },
      { ...closed },
    ),
    issuedAt: Type.String(),
  },
  { ...closed },
);

const BundleSchema = Type.Object(
  {
    panoplyBundle: Type.Literal(1),
    content: ContentSchema,
    /** Base64 of the CA's Ed25519 signature over the canonical JSON of `content`. */
    signature: Type.String(),
  },
  { ...closed },
);

export type BundleContent = Static<typeof ContentSchema>;
export type NodeBundle = Static<typeof BundleSchema>;

/** A signature over a bundle can never be mistaken for one over anything else. */
const signedBytes = (content: BundleContent): Buffer =>
  Buffer.from(`panoply node bundle 1\n${canonicalJson(content)}`);

export function signBundle(content: BundleContent, caKey: KeyLike): NodeBundle {
  const signature = sign(null, signedBytes(content), caKey).toString("base64");
  return { panoplyBundle: 1, content, signature };
}

export const isSignedBy = (bundle: NodeBundle, caPublicKey: KeyObject): boolean =>
  verify(null, signedBytes(bundle.content), caPublicKey, Buffer.from(bundle.signature, "base64"));

const render = (bundle: NodeBundle): string => `${JSON.stringify(bundle, null, 2)}\n`;

/** Writes the bundle with mode 0600. PAN_BUNDLE_EXISTS when the file exists and `replace` is false. */
export function writeBundle(
  file: string,
  bundle: NodeBundle,
  options: { readonly replace: boolean } = { replace: false },
): void {
  try {
    writePrivateFile(file, render(bundle), options);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST") {
      throw new PanError(
        "PAN_BUNDLE_EXISTS",
        `${file} exists already; remove it, or choose another place with --out.`,
        { cause: error },
      );
    }
    throw new PanError(
      "PAN_BUNDLE_UNREADABLE",
      `Cannot write ${file} (${String(code)}); check that its folder exists and can be written.`,
      { cause: error },
    );
  }
}

const REMEDY = "Copy the file again that `pan node add` or `pan node renew` wrote.";

function parseBundle(text: string): NodeBundle | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined; // the parser's message would quote the file, and so perhaps the key
  }
  if (!Value.Check(BundleSchema, value)) return undefined;
  // one bundle, one text: nothing can be changed in the file that the signature does not cover
  const { signature } = value;
  if (Buffer.from(signature, "base64").toString("base64") !== signature) return undefined;
  return render(value) === text ? value : undefined;
}

/**
 * Reads the file; its signature is not yet checked. PAN_BUNDLE_UNREADABLE when it is missing or not in
 * the form of a bundle, PAN_BUNDLE_PERMISSIONS when others can read it.
 */
export function readBundle(file: string): NodeBundle {
  const text = readPrivateFile(file, { code: "PAN_BUNDLE_UNREADABLE", remedy: REMEDY });
  const bundle = parseBundle(text);
  if (bundle !== undefined) return bundle;
  throw new PanError(
    "PAN_BUNDLE_UNREADABLE",
    `${file} is not a node bundle, or was changed after it was written. ${REMEDY}`,
  );
}
