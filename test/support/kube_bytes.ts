// Files that are not all UTF-8, with what kube-apiserver does with each (1.36.4 and 1.37.1, held by the agreement run).
import { parse } from 'yaml'
import { GOOD_FILE } from './kube_lint_examples.ts'

export type BytesCase = {
  readonly says: string
  readonly bytes: Buffer
  readonly loads: boolean
  /** What the linter says of it, with its place; '' when nothing. */
  readonly found: string
}

const BAD = Buffer.from([0xff])
const JSON_FILE = JSON.stringify(parse(GOOD_FILE))

/** `text` with bytes in place of `@@`. */
function having(text: string, bytes: Buffer): Buffer {
  const [before = '', after = ''] = text.split('@@')
  return Buffer.concat([Buffer.from(before), bytes, Buffer.from(after)])
}

const inText = GOOD_FILE.replace('the subject', 'thé @@ subject')
const inJson = JSON_FILE.replace('the subject', 'thé @@ subject')
const inJsonAt = `1:${inJson.indexOf('@@') + 1}`

export const BYTES_CASES: readonly BytesCase[] = [
  { says: 'UTF-8', bytes: having(inText, Buffer.from('ü')), loads: true, found: '' },
  { says: 'U+FFFD as it is', bytes: having(inText, Buffer.from('\uFFFD')), loads: true, found: '' },
  {
    says: 'a bad byte behind U+FFFD',
    bytes: having(inText, Buffer.concat([Buffer.from('\uFFFD'), BAD])),
    loads: false,
    found: '13:23 yaml_not_readable 0xff',
  },
  { says: 'a bad byte', bytes: having(inText, BAD), loads: false, found: '13:22 yaml_not_readable 0xff' },
  {
    says: 'Latin-1',
    bytes: Buffer.from(inText.replace('@@', ''), 'latin1'),
    loads: false,
    found: '13:20 yaml_not_readable 0xe9',
  },
  {
    says: 'a bad byte in a comment',
    bytes: having(`# @@\n${GOOD_FILE}`, BAD),
    loads: false,
    found: '1:3 yaml_not_readable 0xff',
  },
  {
    says: 'a surrogate',
    bytes: having(`# @@\n${GOOD_FILE}`, Buffer.from([0xed, 0xa0, 0x80])),
    loads: false,
    found: '1:3 yaml_not_readable 0xed 0xa0 0x80',
  },
  {
    says: 'an overlong form',
    bytes: having(`# @@\n${GOOD_FILE}`, Buffer.from([0xc0, 0xaf])),
    loads: false,
    found: '1:3 yaml_not_readable 0xc0 0xaf',
  },
  {
    says: 'half a character at the end',
    bytes: having(`${GOOD_FILE}# @@`, Buffer.from([0xe2, 0x82])),
    loads: false,
    found: '24:3 yaml_not_readable 0xe2 0x82',
  },
  {
    says: 'U+FFFE',
    bytes: having(inText, Buffer.from('\uFFFE')),
    loads: false,
    found: '13:22 yaml_not_readable ',
  },
  { says: 'UTF-8 with its mark', bytes: Buffer.from(`\uFEFF${GOOD_FILE}`), loads: true, found: '' },
  { says: 'UTF-16', bytes: Buffer.from(`\uFEFF${GOOD_FILE}`, 'utf16le'), loads: true, found: '' },
  {
    says: 'UTF-16, the other way round',
    bytes: Buffer.from(`\uFEFF${GOOD_FILE}`, 'utf16le').swap16(),
    loads: true,
    found: '',
  },
  {
    says: 'UTF-16 without its mark',
    bytes: Buffer.from(GOOD_FILE, 'utf16le'),
    loads: false,
    found: '1:2 yaml_not_readable ',
  },
  {
    says: 'UTF-16 with half a character',
    bytes: Buffer.concat([
      Buffer.from(`\uFEFF${GOOD_FILE}# `, 'utf16le'),
      Buffer.from([0x3d, 0xd8, 0x0a, 0x00]),
    ]),
    loads: false,
    found: '24:3 yaml_not_readable half a character',
  },
  { says: 'JSON', bytes: having(inJson, Buffer.from('\uFFFD')), loads: true, found: '' },
  {
    says: 'JSON with a bad byte',
    bytes: having(inJson, BAD),
    loads: true,
    found: `${inJsonAt} bytes_replaced 0xff`,
  },
  { says: 'JSON with a mark', bytes: Buffer.from(`\uFEFF${JSON_FILE}`), loads: true, found: '' },
  { says: 'JSON in UTF-16', bytes: Buffer.from(`\uFEFF${JSON_FILE}`, 'utf16le'), loads: true, found: '' },
]
