// Writes messages as the replaced server does while Deskline runs on the same database, and prints them as JSON:
//
//   node beside.mjs mongodb://127.0.0.1:27017/ DATABASE COUNT ADMIN ANN BOB
//
// One after the other, with the current time: Ann to the admin, Bob to the admin, the admin to Ann, and so on.
import { setTimeout as sleep } from 'node:timers/promises';

import { MongoClient, ObjectId } from 'mongodb';

const [uri, name, count, ...people] = process.argv.slice(2);
const [admin, ann, bob] = people.map((id) => new ObjectId(id));
const ways = [
  { sender: ann, receiver: admin },
  { sender: bob, receiver: admin },
  { sender: admin, receiver: ann },
];

const client = await MongoClient.connect(uri);
const written = [];
try {
  const messages = client.db(name).collection('messages');
  for (let n = 0; n < Number(count); n += 1) {
    const now = new Date();
    const { sender, receiver } = ways[n % ways.length];
    const document = { sender, receiver, message: `old ${n}`, read: false, createdAt: now, updatedAt: now, __v: 0 };
    const { insertedId } = await messages.insertOne(document);
    written.push({ id: insertedId, customer: n % ways.length === 1 ? bob : ann, sender });
    await sleep(20);
  }
} finally {
  await client.close();
}
console.log(JSON.stringify(written));
