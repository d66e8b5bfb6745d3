import t from 'tap'
import { rememberTexts } from '../../src/core/known_texts.ts'

/** How often each text was computed. */
function counted(isKept?: (outcome: number) => boolean) {
  const computed: string[] = []
  const lengthOf = rememberTexts((text) => {
    computed.push(text)
    return text.length
  }, isKept)
  return { computed, lengthOf }
}

t.test('a text that comes again is not computed again', async (t) => {
  const { computed, lengthOf } = counted()
  t.same([lengthOf('one'), lengthOf('three'), lengthOf('one')], [3, 5, 3])
  t.same(computed, ['one', 'three'])
})

t.test('an outcome that is undefined is remembered like any other', async (t) => {
  let times = 0
  const nothing = rememberTexts(() => {
    times += 1
    return undefined
  })
  t.same([nothing('x'), nothing('x'), times], [undefined, undefined, 1])
})

t.test('what is not to be kept is computed each time', async (t) => {
  const { computed, lengthOf } = counted((length) => length > 3)
  for (const text of ['one', 'one', 'three', 'three']) lengthOf(text)
  t.same(computed, ['one', 'one', 'three'])
})

t.test('a text of more than 512 characters is computed each time', async (t) => {
  const { computed, lengthOf } = counted()
  for (const length of [512, 512, 513, 513]) t.equal(lengthOf('x'.repeat(length)), length)
  t.equal(computed.length, 3)
})

t.test('the 65th text makes room by forgetting the others', async (t) => {
  const { computed, lengthOf } = counted()
  for (let count = 0; count < 64; count += 1) lengthOf(`text ${count}`)
  lengthOf('text 0')
  t.equal(computed.length, 64)
  lengthOf('one more')
  lengthOf('text 0')
  t.equal(computed.length, 66)
})
