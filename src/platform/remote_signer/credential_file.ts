// A bearer token or a PIN in a file, read again when the file changes: whoever renews it (a kubelet, an agent) puts a new
// one in its place.
import { readFile, stat } from 'node:fs/promises'
import { SignerFailure } from './remote_signer.ts'

const MAX_BYTES = 16 * 1024

export type CredentialFile = {
  /** Its text without line breaks at the end. Rejects with SignerFailure. */
  read(): Promise<string>
}

/** `what` names it in messages; `pattern` says how it may look. */
export function createCredentialFile(file: string, what: string, pattern: RegExp): CredentialFile {
  let known: { readonly mark: string; readonly text: string } | undefined
  const fail = (detail: string, cause?: unknown): never => {
    throw new SignerFailure('credential', `the ${what} file ${file} ${detail}`, { cause })
  }
  return {
    async read() {
      const found = await stat(file).catch((cause: unknown) => fail('cannot be read', cause))
      const mark = `${found.dev} ${found.ino} ${found.size} ${found.mtimeMs}`
      if (known?.mark === mark) return known.text
      if (found.size > MAX_BYTES) return fail(`is larger than ${MAX_BYTES} bytes`)
      const content = await readFile(file, 'utf8').catch((cause: unknown) => fail('cannot be read', cause))
      const text = content.replace(/[\r\n]+$/, '')
      if (!pattern.test(text)) return fail(`holds no ${what}`)
      known = { mark, text }
      return text
    },
  }
}
