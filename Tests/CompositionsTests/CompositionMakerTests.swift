import Basics
import Captions
import Datasets
import Foundation
import Imaging
import TestSupport
import Testing

@testable import Compositions

struct CompositionMakerTests {
  @Test func aCompositionIsAFunctionOfSeedAndIndex() throws {
    let folder = try TemporaryFolder()
    let forwards = try folder.maker()
    // Nearly nothing is kept, and the order is another one.
    let backwards = try folder.maker(bytesInMemory: 1)
    let first = try (0..<30).map { try forwards.composition(at: $0) }
    for index in (0..<30).reversed() {
      let again = try backwards.composition(at: index)
      #expect(again.picture == first[index].picture && again.caption == first[index].caption)
      #expect(again.furtherCaptions == first[index].furtherCaptions)
    }
    let other = try folder.maker(seed: 4)
    #expect(try (0..<30).contains { try other.composition(at: $0).caption != first[$0].caption })
  }

  /// What is on disk goes on to be what is made: with English alone, to the bit.
  @Test func englishAloneIsAsEver() throws {
    let folder = try TemporaryFolder()
    let maker = try folder.maker(side: 32)
    var hash = FNV1a()
    for index in 0..<200 {
      let composition = try maker.composition(at: index)
      for text in [composition.caption] + composition.furtherCaptions { hash.combine(Array(text.utf8)) }
    }
    #expect(hash.value == 8_110_502_097_349_994_827)
  }

  @Test func captionsInTwoLanguages() throws {
    let folder = try TemporaryFolder()
    let english = try folder.maker(side: 32)
    try folder.writeToys(languages: ["en", "ko"])
    let maker = try folder.maker(side: 32, languages: ["en", "ko"])
    #expect(maker.thingNames == english.thingNames)
    var plainest = 0
    for index in 0..<200 {
      let composition = try maker.composition(at: index)
      let alone = try english.composition(at: index)
      // The same but for what is added.
      #expect(composition.caption == alone.caption && composition.picture == alone.picture)
      #expect(
        composition.pair.first == alone.pair.first && composition.pair.second == alone.pair.second
          && composition.split == alone.split)
      let added = composition.furtherCaptions.dropFirst(alone.furtherCaptions.count)
      #expect(composition.furtherCaptions.starts(with: alone.furtherCaptions))
      #expect(added.allSatisfy(isKorean))
      let hasWasp = [composition.pair.first, composition.pair.second].contains("wasp")
      #expect(added.count == (hasWasp ? 0 : 2) && Set(added).count == added.count)
      let pair = try #require(try maker.composition(of: composition.pair))
      #expect(!isKorean(pair.caption) && pair.furtherCaptions.contains(where: isKorean) != hasWasp)
      if let first = added.first, pair.furtherCaptions.first(where: isKorean) == first { plainest += 1 }
    }
    // Of about five wordings, the plainest is more than one in three.
    #expect((40...120).contains(plainest))
    // With Korean first, what has no Korean name is no thing, and pairs are still held out by their English names.
    let korean = try folder.maker(side: 32, languages: ["ko", "en"])
    #expect(korean.thingNames == maker.thingNames.filter { $0 != "wasp" })
    for index in 0..<50 {
      let composition = try korean.composition(at: index)
      #expect(isKorean(composition.caption) && !isKorean(composition.pair.first))
      #expect(composition.furtherCaptions.prefix(2).allSatisfy(isKorean))
      #expect((1...2).contains(composition.furtherCaptions.count { !isKorean($0) }))
      #expect(
        try maker.composition(of: composition.pair)?
          .split == composition.split)
    }
    func isKorean(_ text: String) -> Bool { text.contains { ("가"..."힣").contains($0) } }
  }

  @Test func aFolderInKorean() throws {
    let folder = try TemporaryFolder()
    let maker = try folder.maker(side: 32, languages: ["ko"])
    #expect(maker.thingNames == ["공", "상자", "원뿔", "도넛", "포도", "접시"])
    for index in 0..<50 {
      let composition = try maker.composition(at: index)
      for text in [composition.caption] + composition.furtherCaptions {
        #expect(text.allSatisfy { ("가"..."힣").contains($0) || $0 == " " || $0 == "," }, "\(text)")
      }
    }
    #expect { try folder.maker() } throws: { ($0 as? PipelineError)?.message.contains("names a thing") == true }
    #expect { try folder.maker(languages: ["en", "de"]) } throws: {
      ($0 as? PipelineError)?.message == "`languages` must be a list of en, ko with commas between, not \"de\""
    }
    #expect { try folder.maker(languages: ["ko", "ko"]) } throws: { ($0 as? PipelineError)?.kind == .usage }
    #expect { try folder.maker(languages: []) } throws: { ($0 as? PipelineError)?.kind == .usage }
  }

  @Test func whatAPairLooksLikeIsTheSameForAll() throws {
    let folder = try TemporaryFolder()
    let maker = try folder.maker(["made-of", "next-to", "sketch"])
    for index in 0..<20 {
      let drawn = try maker.composition(at: index)
      #expect(maker.pair(at: index) == drawn.pair && maker.split(of: drawn.pair) == drawn.split)
      let asked = try #require(try maker.composition(of: drawn.pair))
      #expect(asked.picture == drawn.picture && asked.split == drawn.split)
      #expect(([asked.caption] + asked.furtherCaptions).contains(drawn.caption))
      #expect(!drawn.furtherCaptions.contains(drawn.caption))
    }
    #expect(try maker.composition(of: .init(relation: "colored", first: "ball", second: "blue")) == nil)
    #expect(try maker.composition(of: .init(relation: "sketch", first: "tapir")) == nil)
    #expect(try maker.composition(of: .init(relation: "next-to", first: "ball")) == nil)
  }

  @Test func aPairStandsInOneSplit() throws {
    let folder = try TemporaryFolder()
    let maker = try folder.maker(side: 32)
    var splits: [String: Set<Split>] = [:]
    for index in 0..<600 {
      let composition = try maker.composition(at: index)
      let relation = try #require(Relation.all.first { $0.name == composition.pair.relation })
      let key = "\(relation.heldOutAs)|\(composition.pair.first)|\(composition.pair.second ?? "")"
      splits[key, default: []].insert(composition.split)
    }
    #expect(splits.values.allSatisfy { $0.count == 1 })
    #expect(CompositionMaker.split(relation: "made-of", first: "a", second: "b") == expected("made-of|a|b"))
    #expect(CompositionMaker.split(relation: "sketch", first: "a", second: nil) == expected("sketch|a"))
    func expected(_ key: String) -> Split {
      FNV1a.hash(key) % 40 == 0 ? .test : FNV1a.hash(key) % 40 == 1 ? .validation : .train
    }
    // Of very many pairs, a fortieth each is held out.
    let all = (0..<8000).map { CompositionMaker.split(relation: "made-of", first: "x\($0)", second: "y") }
    #expect((140...260).contains(all.count { $0 == .test }) && (140...260).contains(all.count { $0 == .validation }))
  }

  @Test func pairsOfASplitAreThoseOfTheIndices() throws {
    let maker = try TemporaryFolder().maker(side: 32)
    let pairs = maker.pairs(of: .test, count: 12)
    #expect(Set(pairs).count == 12 && pairs.allSatisfy { maker.split(of: $0) == .test })
    let all = (0..<20_000).map(maker.pair)
    #expect(all.first { maker.split(of: $0) == .test } == pairs[0])
    // Few things have few pairs.
    let few = maker.pairs(of: .test, count: 100_000)
    #expect(few.count < 2000 && Set(few).isSuperset(of: all.filter { maker.split(of: $0) == .test }))
  }

  @Test func trainingSeesNoPairThatIsHeldOut() throws {
    let folder = try TemporaryFolder()
    let maker = try folder.maker(side: 32)
    let made = TrainingCompositions(maker)
    let captions = made.captions(ofFirst: 200)
    for number in 0..<200 {
      let onDisk = try maker.composition(at: number)
      let (said, picture) = try made.captionedPicture(number)
      #expect(said == captions[number])
      if onDisk.split == .train {
        #expect(picture == onDisk.picture && said == [onDisk.caption] + onDisk.furtherCaptions)
      } else {
        #expect(picture != onDisk.picture || said[0] != onDisk.caption)
      }
    }
    #expect(try (0..<200).contains { try maker.composition(at: $0).split != .train })
  }

  @Test func neighboursShareAPart() throws {
    let folder = try TemporaryFolder()
    let maker = try folder.maker(side: 32)
    var random = Philox(seed: 1, stream: RandomStream.compositions(2))
    for pair in maker.pairs(of: .train, count: 60) {
      let neighbours = maker.neighbours(of: pair, count: 3, using: &random)
      #expect(Set(neighbours).count == neighbours.count && !neighbours.contains(pair))
      let (sameFirst, sameSecond) = (
        neighbours.count { $0.first == pair.first }, neighbours.count { $0.second == pair.second }
      )
      #expect(sameFirst <= 3 && sameSecond <= 3 && sameSecond > 0, "\(pair)")
      #expect(neighbours.allSatisfy { $0.relation == pair.relation })
      for neighbour in neighbours { #expect(try maker.composition(of: neighbour) != nil, "\(neighbour)") }
      if ["made-of", "next-to"].contains(pair.relation) { #expect(sameFirst > 0, "\(pair)") }
    }
    #expect(maker.neighbours(of: .init(relation: "above", first: "ball"), count: 3, using: &random).isEmpty)
  }

  @Test func whatTheDataSetHoldsOutStandsInNoComposition() throws {
    let folder = try TemporaryFolder()
    try folder.writeToys()
    let metadata = String(decoding: try folder.read("toys/metadata.jsonl"), as: UTF8.self)
    try folder.write(
      metadata.replacing("wasp.\", \"split\": \"train\"", with: "wasp.\", \"split\": \"test\""),
      to: "toys/metadata.jsonl")
    #expect(try !folder.maker().thingNames.contains("wasp"))
  }

  @Test func aFolderIsTheSameForAnyNumberOfThreads() throws {
    let folder = try TemporaryFolder()
    let maker = try folder.maker(side: 32)
    let summary = try CompositionFolder.write(to: folder.path("one"), count: 40, by: maker, team: ThreadTeam(count: 1))
    try CompositionFolder.write(to: folder.path("three"), count: 40, by: maker, team: ThreadTeam(count: 3))
    #expect(try folder.contents(of: "one") == folder.contents(of: "three"))
    #expect(summary.pictures == 40 && summary.relations.values.reduce(0, +) == 40)
    // What is on disk is what is made while training.
    let dataSet = try PictureDataSet(contentsOf: folder.path("one"), pictureSize: 32, strict: true)
    #expect(dataSet.entries.count == 40)
    for index in [0, 17, 39] {
      let composition = try maker.composition(at: index)
      #expect(try dataSet.picture(at: index) == composition.picture)
      #expect(dataSet.entries[index].captions == [composition.caption] + composition.furtherCaptions)
      #expect(dataSet.entries[index].split == composition.split)
      #expect(dataSet.entries[index].relation == composition.pair.relation)
    }
    // Nothing is replaced.
    #expect {
      try CompositionFolder.write(to: folder.path("one"), count: 2, by: maker, team: ThreadTeam(count: 1))
    } throws: { ($0 as? PipelineError)?.kind == .cannotCreate }
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.url.path).sorted() == ["one", "three", "toys"])
  }

  @Test func whatIsComposedAlreadyIsNoThing() throws {
    let folder = try TemporaryFolder()
    let maker = try folder.maker(side: 32)
    let names = maker.thingNames
    try CompositionFolder.write(
      to: folder.path("toys/compositions"), count: 200, by: maker, team: ThreadTeam(count: 2))
    #expect(try folder.maker(side: 32).thingNames == names)
  }

  @Test func toldApartIsWhatCannotBeUsed() throws {
    let folder = try TemporaryFolder()
    try folder.writeToys([.ball])
    #expect { try folder.maker() } throws: {
      ($0 as? PipelineError)?.message.contains("only one of the 1 pictures") == true
    }
    // A damaged picture is named, and the others are taken.
    try folder.writeToys([.cone, .box, .wasp])
    try folder.copyFixture("truncated.png", to: "toys/wasp.png")
    let reports = Reports()
    let dataSet = try PictureDataSet(contentsOf: folder.path("toys"), pictureSize: 32, maximumBytesInMemory: 0)
    let maker = try CompositionMaker(
      dataSet, settings: .init(), team: ThreadTeam(count: 1), report: { reports.append($0) })
    #expect(maker.thingNames == ["box", "cone"])
    #expect(reports.lines.contains { $0.hasPrefix("skipped wasp.png: damaged PNG") })
    try folder.writeToys([.cone, .box])
    // Neither has a texture.
    #expect { try folder.maker(["made-of"]) } throws: { ($0 as? PipelineError)?.kind == .badData }
    #expect { try folder.maker(["made of"]) } throws: {
      ($0 as? PipelineError)?.message.contains("made-of, colored") == true
    }
    #expect { try folder.maker(side: 16) } throws: { ($0 as? PipelineError)?.kind == .usage }
    let names = try folder.maker().relations.map(\.name)
    #expect(names.contains("next-to") && !names.contains("made-of") && !names.contains("sketch-made-of"))
  }
}
