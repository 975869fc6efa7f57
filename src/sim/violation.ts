// What a checker throws: the run ends here, and the transcript tells how it came to it.

export class Violation extends Error {
  override readonly name = "Violation";
  readonly checker: string;

  constructor(checker: string, message: string) {
    super(message);
    this.checker = checker;
  }
}
