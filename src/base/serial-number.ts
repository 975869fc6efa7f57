// Serial numbers of certificates (RFC 5280 section 4.1.2.2) as text, wherever they are compared.

/** Lower-case hex without leading zeros: equal serial numbers are equal text. */
export const serialText = (hex: string): string => hex.toLowerCase().replace(/^0+(?=.)/, "");
