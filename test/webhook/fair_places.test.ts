// Whose turn it is, and who makes room, where several users want one thread.
import t from 'tap'
import { FairPlaces } from '../../webhook/judge/fair_places.ts'

/** Of four places, of which one user is at work in two. */
function four(): FairPlaces<string> {
  return new FairPlaces<string>({ most: 4, mostAtWork: 2 })
}

/** Who makes room, or `refused`. */
function come(places: FairPlaces<string>, user: string, item: string): string | undefined {
  return places.hasRoomFor(user) ? places.take(user, item) : 'refused'
}

function begun(places: FairPlaces<string>): readonly string[] {
  const items: string[] = []
  for (;;) {
    const item = places.begin()
    if (item === undefined) return items
    items.push(item)
  }
}

t.test('one user has all places while nobody else comes, and no more', async (t) => {
  const places = four()
  t.same(
    ['a1', 'a2', 'a3', 'a4', 'a5'].map((item) => come(places, 'a', item)),
    [undefined, undefined, undefined, undefined, 'refused'],
  )
  t.ok(places.isBusiest('a'))
  t.equal(places.held, 4)
})

t.test('whoever has the most makes room, from the end', async (t) => {
  const places = four()
  for (const item of ['a1', 'a2', 'a3', 'a4']) come(places, 'a', item)
  t.equal(come(places, 'b', 'b1'), 'a4')
  t.equal(come(places, 'a', 'a5'), 'refused')
  t.equal(come(places, 'b', 'b2'), 'a3', 'two and two')
  t.equal(come(places, 'b', 'b3'), 'refused', 'not more than whoever makes room')
  t.equal(come(places, 'c', 'c1'), 'a2')
  t.equal(come(places, 'd', 'd1'), 'b2')
  t.equal(come(places, 'e', 'e1'), 'refused', 'nobody has more than one')
  t.notOk(places.isBusiest('e'))
  t.equal(places.held, 4)
})

t.test('users take turns, each in the order in which its own came', async (t) => {
  const places = new FairPlaces<string>({ most: 8, mostAtWork: 8 })
  for (const item of ['a1', 'a2', 'a3']) come(places, 'a', item)
  for (const item of ['b1', 'b2']) come(places, 'b', item)
  come(places, 'c', 'c1')
  t.equal(places.next(), 'a1')
  t.same(begun(places), ['a1', 'b1', 'c1', 'a2', 'b2', 'a3'])
})

t.test('of one user no more are at work than leave others room', async (t) => {
  const places = four()
  for (const item of ['a1', 'a2', 'a3', 'a4']) come(places, 'a', item)
  t.same(begun(places), ['a1', 'a2'])
  t.equal(come(places, 'b', 'b1'), 'a4')
  t.equal(come(places, 'c', 'c1'), 'a3')
  t.same(begun(places), ['b1', 'c1'])
  t.equal(come(places, 'd', 'd1'), 'refused', 'what is at work makes no room')
  places.free('a')
  t.equal(come(places, 'd', 'd1'), undefined)
  t.equal(places.next(), 'd1')
})

t.test('what is free again is free for all, and nobody is remembered', async (t) => {
  const places = four()
  for (let round = 0; round < 100; round += 1) {
    const user = `user-${round}`
    come(places, user, 'x')
    places.begin()
    places.free(user)
    places.free(user)
  }
  t.equal(places.held, 0)
  t.equal(places.next(), undefined)
  t.notOk(places.isBusiest('user-1'))
})
