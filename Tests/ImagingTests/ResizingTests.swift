import Imaging
import Testing

@Suite struct ResizingTests {
  private func mean(_ picture: Picture) -> Double {
    Double(picture.pixels.reduce(0) { $0 + Int($1) }) / Double(picture.pixels.count)
  }

  @Test(arguments: [(1, 1), (3, 5), (7, 7), (10, 20), (64, 48), (33, 2)])
  func aConstantPictureStaysConstant(width: Int, height: Int) {
    let color = Picture.Color(red: 255, green: 1, blue: 130)
    for (newWidth, newHeight) in [(1, 1), (10, 7), (64, 64), (5, 100)] {
      let resized = Picture(width: width, height: height, color: color).resized(width: newWidth, height: newHeight)
      #expect(resized == Picture(width: newWidth, height: newHeight, color: color))
    }
  }

  @Test func shrinkingByWholeFactorsIsTheMeanOfEachBlock() {
    let picture = pattern(width: 12, height: 6)
    let small = picture.resized(width: 4, height: 2)
    for y in 0..<2 {
      for x in 0..<4 {
        for channel in 0..<3 {
          var sum = 0
          for row in 0..<3 {
            for column in 0..<3 { sum += Int(picture.pixels[3 * ((3 * y + row) * 12 + 3 * x + column) + channel]) }
          }
          #expect(abs(Double(small.pixels[3 * (y * 4 + x) + channel]) - Double(sum) / 9) <= 0.51)
        }
      }
    }
  }

  @Test func shrinkingCoversFractionsOfPixels() {
    // Each of two pixels covers one and a half of three.
    let picture = Picture(width: 3, height: 1, pixels: [30, 30, 30, 60, 60, 60, 120, 120, 120])
    #expect(picture.resized(width: 2, height: 1).pixels == [40, 40, 40, 100, 100, 100])
  }

  @Test func enlargingIsBilinearBetweenCentres() {
    let picture = Picture(width: 2, height: 1, pixels: [0, 0, 0, 100, 100, 100])
    #expect(picture.resized(width: 4, height: 1).pixels == [0, 25, 75, 100].flatMap { [$0, $0, $0] })
  }

  @Test(arguments: [(50, 37), (64, 64), (20, 90), (8, 8)])
  func theMeanIsPreservedWhenShrinking(width: Int, height: Int) {
    let picture = pattern(width: 100, height: 100)
    #expect(abs(mean(picture.resized(width: width, height: height)) - mean(picture)) < 0.3)
  }

  @Test func theSameSizeIsTheSamePicture() {
    let picture = pattern(width: 9, height: 4)
    #expect(picture.resized(width: 9, height: 4) == picture)
  }

  @Test func paddingCentresOnWhiteAndCroppingTakesTheMiddle() {
    let wide = Picture(width: 8, height: 4, color: .black)
    let padded = wide.squared(side: 4, fit: .pad)
    #expect(padded.cropped(x: 0, y: 1, width: 4, height: 2) == Picture(width: 4, height: 2, color: .black))
    #expect(padded.cropped(x: 0, y: 0, width: 4, height: 1) == Picture(width: 4, height: 1, color: .white))
    #expect(padded.cropped(x: 0, y: 3, width: 4, height: 1) == Picture(width: 4, height: 1, color: .white))
    let picture = pattern(width: 8, height: 4)
    #expect(picture.squared(side: 4, fit: .crop) == picture.cropped(x: 2, y: 0, width: 4, height: 4))
    #expect(Picture(width: 1, height: 1000, color: .black).squared(side: 16, fit: .pad).width == 16)
  }

  @Test func enlargedRepeatsPixels() {
    let picture = pattern(width: 3, height: 2)
    let large = picture.enlarged(by: 4)
    #expect(large.width == 12 && large.height == 8)
    #expect(large.resized(width: 3, height: 2) == picture)
  }

  @Test func aGridPlacesPicturesInRows() {
    let black = Picture(width: 2, height: 2, color: .black)
    let sheet = Picture.grid([black, black, black], columns: 2, spacing: 1)
    #expect(sheet.width == 5 && sheet.height == 5)
    #expect(sheet.cropped(x: 0, y: 3, width: 2, height: 2) == black)
    #expect(sheet.cropped(x: 3, y: 3, width: 2, height: 2) == Picture(width: 2, height: 2, color: .white))
    #expect(sheet.cropped(x: 2, y: 0, width: 1, height: 5) == Picture(width: 1, height: 5, color: .white))
    #expect(Picture.grid([], columns: 3) == Picture(width: 1, height: 1, color: .white))
  }
}
